// Mistral: Llama whose tokens see a window of the last ones.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 131072, .kv_heads = 8});
  spec.attention.window = readWindow(config, 4096);
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kMistral;
const Family kMistral = {"mistral", "MistralForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
