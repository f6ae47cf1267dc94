// JSON: what parses prints and parses again to the same value; positions of keys never run away.
#include <cstdint>
#include <cstdlib>

#include "runtime/base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  dcc::Result<nlohmann::json> value = dcc::parseJson(text, "fuzz.json", {.depth = 32});
  if (!value.ok()) {
    if (value.error().message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  dcc::Result<nlohmann::json> again = dcc::parseJson(value->dump(), "dump.json", {.depth = 32});
  if (!again.ok() || *again != *value) std::abort();
  return 0;
}
