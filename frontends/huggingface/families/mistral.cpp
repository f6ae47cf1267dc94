// Mistral: Llama whose tokens see a window of the last ones.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config);
  // Left out it is what MistralConfig says; null is none.
  int64_t window = config.mentions("sliding_window") ? config.integerOr("sliding_window", 0) : 4096;
  spec.attention.window = window;
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kMistral;
const Family kMistral = {"mistral", "MistralForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
