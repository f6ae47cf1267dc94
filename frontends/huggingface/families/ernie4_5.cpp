// Ernie 4.5, dense: Llama whose pairs of neighbours turn.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 131072,
                                          .kv_heads = 2,
                                          .head_dim = 128,
                                          .eps = 1e-5,
                                          .tied = true,
                                          .theta = 500000});
  const bool bias = config.booleanOr("use_bias", false);
  spec.attention.bias = spec.attention.output_bias = spec.mlp_bias = bias;
  spec.attention.interleaved = true;
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kErnie45;
const Family kErnie45 = {"ernie4_5", "Ernie4_5ForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
