// Seed OSS: Llama with biases on q, k and v, and one of its own on the output.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 524288, .kv_heads = 8, .head_dim = 128});
  spec.attention.bias = config.booleanOr("attention_bias", true);
  spec.attention.output_bias = config.booleanOr("attention_out_bias", false);
  spec.mlp_bias = config.booleanOr("mlp_bias", false);
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kSeedOss;
const Family kSeedOss = {"seed_oss", "SeedOssForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
