// The bundled tokenizer loses no byte: decode(encode(text)) is the text, as a whole and as a
// stream.
#include <cstdio>
#include <cstdlib>

#include "runtime/text/tokenizer.h"

namespace {

const dcc::text::Tokenizer& bundled() {
  static const dcc::text::Tokenizer tokenizer = [] {
    auto loaded =
        dcc::text::Tokenizer::fromFile(DCC_SOURCE_DIR "/examples/shakespeare-llama/tokenizer.json");
    if (!loaded.ok()) {
      std::fprintf(stderr, "%s\n", loaded.error().message.c_str());
      std::abort();
    }
    return *loaded;
  }();
  return tokenizer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  dcc::Result<std::vector<int32_t>> ids = bundled().encode(text, /*special=*/false);
  if (!ids.ok()) return 0;  // not UTF-8
  if (bundled().decode(*ids, /*skip_special=*/false) != text) std::abort();
  dcc::text::TextStream stream(bundled(), /*skip_special=*/false);
  std::string streamed;
  for (int32_t id : *ids) streamed += stream.push(id);
  streamed += stream.finish();
  if (streamed != text) std::abort();
  return 0;
}
