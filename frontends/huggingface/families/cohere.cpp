// Cohere (Command R): attention and MLP beside each other, layer norms without bias, pairs of
// neighbours turn.
#include "frontends/huggingface/families/cohere.h"

namespace dcc::huggingface {

DecoderSpec readCohere(const ConfigReader& config, double theta) {
  DecoderSpec spec = readDecoder(
      config,
      {.positions = 8192, .eps_key = "layer_norm_eps", .eps = 1e-5, .tied = true, .theta = theta});
  spec.norm = DecoderSpec::Norm::kLayer;
  spec.parallel = true;
  spec.before_mlp = "";
  spec.attention.interleaved = true;
  spec.attention.bias = spec.attention.output_bias = config.booleanOr("attention_bias", false);
  spec.logit_scale = config.positiveOr("logit_scale", 0.0625);
  return spec;
}

namespace {

// The norms of heads have a row for each.
std::span<const PlanRule> plan() {
  static const std::vector<PlanRule> kPlan = [] {
    std::vector<PlanRule> rules(densePlan().begin(), densePlan().end());
    rules.push_back({"model.layers.*.self_attn.q_norm", "colwise"});
    rules.push_back({"model.layers.*.self_attn.k_norm", "colwise"});
    return rules;
  }();
  return kPlan;
}

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readCohere(config, 500000);
  if (config.booleanOr("use_qk_norm", false)) {
    spec.attention.head_norm = AttentionSpec::HeadNorm::kLayer;
  }
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kCohere;
const Family kCohere = {"cohere", "CohereForCausalLM", plan, read};

}  // namespace dcc::huggingface
