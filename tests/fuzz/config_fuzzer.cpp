// A config.json gives frequencies or an error, never a frequency that is no number.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "frontends/huggingface/rope.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dcc::huggingface;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  dcc::Result<ConfigReader> config = ConfigReader::fromJson(text, "config.json");
  if (!config.ok()) return 0;
  config->dtype();
  config->architecture();
  RopeModel model{.rotary_dim = config->integerOr("head_dim", 16, {2, 512}),
                  .max_position_embeddings = config->integerOr("max_position_embeddings", 2048)};
  dcc::Result<Rope> rope = readRope(*config, model);
  if (!rope.ok()) {
    if (rope.error().message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  if (rope->frequencies.size() != static_cast<size_t>(model.rotary_dim) / 2) std::abort();
  if (!std::isfinite(rope->scale)) std::abort();
  for (float f : rope->frequencies) {
    if (!std::isfinite(f)) std::abort();
  }
  return 0;
}
