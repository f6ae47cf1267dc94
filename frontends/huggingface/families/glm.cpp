// GLM 4: gate and up in one, half of every head turns by pairs of neighbours; from 0414 on (glm4)
// with norms behind attention and MLP too.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

// transformers' own plan gathers what is packed; ours cuts each block of it.
std::span<const PlanRule> plan() {
  static constexpr PlanRule kPlan[] = {
      {"model.embed_tokens", "embedding_rowwise"},
      {"model.layers.*.self_attn.q_proj", "colwise"},
      {"model.layers.*.self_attn.k_proj", "colwise"},
      {"model.layers.*.self_attn.v_proj", "colwise"},
      {"model.layers.*.self_attn.o_proj", "rowwise"},
      {"model.layers.*.mlp.gate_up_proj", "packed_colwise"},
      {"model.layers.*.mlp.down_proj", "rowwise"},
      {"lm_head", "colwise"},
  };
  return kPlan;
}

DecoderSpec readGlm(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 131072,
                                          .kv_heads = 2,
                                          .head_dim = 128,
                                          .eps = 1.5625e-7,
                                          .rotary_factor = 0.5});
  spec.attention.interleaved = true;
  spec.attention.bias = config.booleanOr("attention_bias", true);
  spec.packed_mlp = true;
  return spec;
}

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  return makeDecoder(readGlm(config), config);
}

Result<std::unique_ptr<Model>> read4(const ConfigReader& config) {
  DecoderSpec spec = readGlm(config);
  spec.after_attention = "post_self_attn_layernorm";
  spec.after_mlp = "post_mlp_layernorm";
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kGlm, kGlm4;
const Family kGlm = {"glm", "GlmForCausalLM", plan, read};
const Family kGlm4 = {"glm4", "Glm4ForCausalLM", plan, read4};

}  // namespace dcc::huggingface
