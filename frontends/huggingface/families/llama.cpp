// Llama 1, 2 and 3.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config);
  spec.attention.bias = spec.attention.output_bias = config.booleanOr("attention_bias", false);
  spec.mlp_bias = config.booleanOr("mlp_bias", false);
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kLlama;
const Family kLlama = {"llama", "LlamaForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
