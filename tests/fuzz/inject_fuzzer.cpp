// Whatever DRUN_INJECT says is an injection, or an error of one line.
#include <cstdlib>
#include <string_view>

#include "tools/drun/inject.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto injection = dcc::drun::parseInjection({reinterpret_cast<const char*>(data), size});
  if (!injection.ok()) {
    if (injection.error().message.find('\n') != std::string::npos) std::abort();
  } else if (injection->at.empty()) {
    std::abort();
  }
  return 0;
}
