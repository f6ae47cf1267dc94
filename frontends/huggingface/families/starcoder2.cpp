// StarCoder 2: layer norms, an MLP without a gate, biases everywhere.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

std::span<const PlanRule> plan() {
  static constexpr PlanRule kPlan[] = {
      {"model.embed_tokens", "embedding_rowwise"},
      {"model.layers.*.self_attn.q_proj", "colwise"},
      {"model.layers.*.self_attn.k_proj", "colwise"},
      {"model.layers.*.self_attn.v_proj", "colwise"},
      {"model.layers.*.self_attn.o_proj", "rowwise"},
      {"model.layers.*.mlp.c_fc", "colwise"},
      {"model.layers.*.mlp.c_proj", "rowwise"},
      {"lm_head", "colwise"},
  };
  return kPlan;
}

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 4096,
                                          .kv_heads = 2,
                                          .eps_key = "norm_epsilon",
                                          .eps = 1e-5,
                                          .tied = true,
                                          .activation = "gelu_pytorch_tanh"});
  spec.norm = DecoderSpec::Norm::kLayerWithBias;
  spec.plain_mlp = {".c_fc", ".c_proj"};
  const bool bias = config.booleanOr("use_bias", true);
  spec.attention.bias = spec.attention.output_bias = spec.mlp_bias = bias;
  spec.attention.window = readWindow(config, 0);
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kStarcoder2;
const Family kStarcoder2 = {"starcoder2", "Starcoder2ForCausalLM", plan, read};

}  // namespace dcc::huggingface
