// OLMo 2: norms behind attention and MLP in place of before them, and on all of q and all of k.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

// transformers' own: since a norm of q and k is over all heads, what ranks have of them is gathered
// before it, and every rank attends with all heads.
std::span<const PlanRule> plan() {
  static constexpr PlanRule kPlan[] = {
      {"model.embed_tokens", "embedding_rowwise"},
      {"model.layers.*.self_attn.q_proj", "colwise_gather_output"},
      {"model.layers.*.self_attn.k_proj", "colwise_gather_output"},
      {"model.layers.*.self_attn.v_proj", "colwise_gather_output"},
      {"model.layers.*.self_attn.o_proj", "rowwise_split_input"},
      {"model.layers.*.mlp.gate_proj", "colwise"},
      {"model.layers.*.mlp.up_proj", "colwise"},
      {"model.layers.*.mlp.down_proj", "rowwise"},
      {"lm_head", "colwise"},
  };
  return kPlan;
}

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.eps = 1e-5});
  readBiases(config, spec);
  spec.mlp_bias = false;
  spec.before_attention = spec.before_mlp = "";
  spec.after_attention = "post_attention_layernorm";
  spec.after_mlp = "post_feedforward_layernorm";
  spec.attention.head_norm = AttentionSpec::HeadNorm::kAllRms;
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kOlmo2;
const Family kOlmo2 = {"olmo2", "Olmo2ForCausalLM", plan, read};

}  // namespace dcc::huggingface
