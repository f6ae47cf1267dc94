// Phi 1 and 2: attention and an MLP without a gate beside each other, biases everywhere, half of
// every head turns.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

std::span<const PlanRule> plan() {
  static constexpr PlanRule kPlan[] = {
      {"model.embed_tokens", "embedding_rowwise"},
      {"model.layers.*.self_attn.q_proj", "colwise"},
      {"model.layers.*.self_attn.k_proj", "colwise"},
      {"model.layers.*.self_attn.v_proj", "colwise"},
      {"model.layers.*.self_attn.dense", "rowwise"},
      {"model.layers.*.mlp.fc1", "colwise"},
      {"model.layers.*.mlp.fc2", "rowwise"},
      {"lm_head", "colwise"},
  };
  return kPlan;
}

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(
      config,
      {.eps_key = "layer_norm_eps", .eps = 1e-5, .activation = "gelu_new", .rotary_factor = 0.5});
  spec.norm = DecoderSpec::Norm::kLayerWithBias;
  spec.final_norm = "model.final_layernorm";
  spec.parallel = true;
  spec.before_mlp = "";
  spec.attention.bias = spec.attention.output_bias = spec.mlp_bias = spec.head_bias = true;
  spec.attention.output = ".dense";
  spec.plain_mlp = {".fc1", ".fc2"};
  if (config.booleanOr("qk_layernorm", false)) {
    config.fail("qk_layernorm", "is not supported; false is expected");
  }
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kPhi;
const Family kPhi = {"phi", "PhiForCausalLM", plan, read};

}  // namespace dcc::huggingface
