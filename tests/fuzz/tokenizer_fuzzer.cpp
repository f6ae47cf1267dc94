// A tokenizer.json gives a tokenizer or a one-line error; what it then does to text ends.
#include <cstdlib>

#include "runtime/text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view json(reinterpret_cast<const char*>(data), size);
  dcc::Result<dcc::text::Tokenizer> tokenizer = dcc::text::Tokenizer::fromJson(json, "fuzz.json");
  if (!tokenizer.ok()) {
    if (tokenizer.error().message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  dcc::Result<std::vector<int32_t>> ids = tokenizer->encode("Hello,  w\u00f6rld!\n<s>1234 \u4f60");
  if (ids.ok()) tokenizer->decode(*ids);
  tokenizer->decode(std::vector<int32_t>{-1, 0, 1, 2, INT32_MAX});
  return 0;
}
