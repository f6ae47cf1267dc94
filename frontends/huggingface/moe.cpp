#include "frontends/huggingface/moe.h"

namespace dcc::huggingface {
namespace {

using mlir::Value;

// "model.layers.3.mlp" in checkpoints from before the module was called so.
std::string olderName(const std::string& module) {
  return module.substr(0, module.rfind('.')) + ".block_sparse_moe";
}

// One matrix [rows, cols] for each expert.
std::vector<TensorView> perExpert(const std::string& experts, const char* name, int64_t count,
                                  int64_t rows, int64_t cols) {
  std::vector<TensorView> views;
  for (int64_t i = 0; i < count; ++i) {
    views.push_back({.tensor = experts + std::to_string(i) + name, .stored = {rows, cols}});
  }
  return views;
}

ExpertsSpec sizes(const MoeSpec& spec) {
  ExpertsSpec experts;
  experts.experts = spec.experts;
  experts.width = spec.width;
  experts.function = spec.activation;
  return experts;
}

}  // namespace

MoeSpec readMoe(const ConfigReader& config, const DecoderSpec& decoder, std::string_view width,
                const MoeDefaults& defaults) {
  MoeSpec spec;
  spec.hidden = decoder.hidden;
  spec.activation = decoder.activation;
  const char* count = config.has("num_experts") ? "num_experts" : "num_local_experts";
  spec.experts = config.integerOr(count, defaults.experts, {1, 65536});
  spec.width = config.integerOr(width, defaults.width);
  spec.route.k = config.integerOr("num_experts_per_tok", defaults.k, {1, spec.experts});
  if (spec.route.k > spec.experts) {
    config.fail("num_experts_per_tok", "is left out, and " + std::to_string(defaults.k) + " of " +
                                           std::to_string(spec.experts) + " can't be chosen");
  }
  spec.route.normalize = config.booleanOr("norm_topk_prob", false);
  return spec;
}

ExpertsSpec findExperts(const ModelBuilder& b, const std::string& module, const MoeSpec& spec) {
  const int64_t n = spec.experts, width = spec.width, hidden = spec.hidden;
  ExpertsSpec experts = sizes(spec);
  const std::string older = olderName(module) + ".experts.", newer = module + ".experts.";
  if (const std::string packed = module + ".experts.gate_up_proj";
      b.has(packed) && !b.has(newer + "0.gate_proj.weight")) {
    const std::vector<int64_t> stored{n, 2 * width, hidden}, shape{n, width, hidden},
        strides{2 * width * hidden, hidden, 1};
    experts.gate = {{packed, stored, shape, strides}};
    experts.up = {{packed, stored, shape, strides, width * hidden}};
    experts.down = {{module + ".experts.down_proj", {n, hidden, width}}};
    return experts;
  }
  const bool old = !b.has(newer + "0.gate_proj.weight") && b.has(older + "0.w1.weight");
  const std::string& base = old ? older : newer;
  experts.gate = perExpert(base, old ? ".w1.weight" : ".gate_proj.weight", n, width, hidden);
  experts.up = perExpert(base, old ? ".w3.weight" : ".up_proj.weight", n, width, hidden);
  experts.down = perExpert(base, old ? ".w2.weight" : ".down_proj.weight", n, hidden, width);
  return experts;
}

ExpertsSpec packedExperts(const ModelBuilder& b, const std::string& module, const MoeSpec& spec,
                          bool alternating) {
  const int64_t n = spec.experts, width = spec.width, hidden = spec.hidden;
  ExpertsSpec experts = sizes(spec);
  const std::string packed = module + ".experts.gate_up_proj";
  if (b.has(packed + "_blocks")) {  // encoded, as [out, in]
    const std::vector<int64_t> stored{n, 2 * width, hidden}, shape{n, width, hidden},
        strides{2 * width * hidden, alternating ? 2 * hidden : hidden, 1};
    experts.gate = {{packed, stored, shape, strides}};
    experts.up = {{packed, stored, shape, strides, alternating ? hidden : width * hidden}};
    experts.down = {{module + ".experts.down_proj", {n, hidden, width}}};
    return experts;
  }
  const std::vector<int64_t> stored{n, hidden, 2 * width}, shape{n, width, hidden},
      strides{2 * width * hidden, alternating ? 2 : 1, 2 * width};
  experts.gate = {{packed, stored, shape, strides}};
  experts.up = {{packed, stored, shape, strides, alternating ? 1 : width}};
  experts.down = {{module + ".experts.down_proj",
                   {n, width, hidden},
                   {n, hidden, width},
                   {width * hidden, 1, hidden}}};
  return experts;
}

Value moe(ModelBuilder& b, const std::string& module, Value x, const MoeSpec& spec,
          const ExpertsSpec& experts) {
  ModelBuilder::LinearOptions options{.sum = true};
  const std::string older = olderName(module) + spec.router + ".weight";
  if (!b.has(module + spec.router + ".weight") && b.has(older)) options.weight = older;
  options.bias = b.has(module + spec.router + ".bias") && spec.router == ".router";
  Value gates = b.linear(module + spec.router, x, spec.experts, options);
  gates = b.route(module + spec.router, gates, spec.route);
  Value y = b.experts(module + ".experts", x, gates, experts);
  if (spec.shared_width == 0) return y;
  Value shared = b.gatedMlp(module + spec.shared, x, spec.shared_width, spec.activation, false);
  if (!spec.shared_gate.empty()) {
    Value gate = b.linear(module + spec.shared_gate, x, 1);
    gate = b.activation(module + spec.shared_gate, "sigmoid", gate);
    shared = b.scaleRows(module + spec.shared, shared, gate);
  }
  return b.add(module, y, shared);
}

std::span<const PlanRule> moePlan() {
  static const std::vector<PlanRule> kPlan = [] {
    std::vector<PlanRule> rules(densePlan().begin(), densePlan().end());
    for (const PlanRule& rule : std::initializer_list<PlanRule>{
             {"model.layers.*.mlp.experts.gate_up_proj", "packed_colwise"},
             {"model.layers.*.mlp.experts.gate_up_proj_bias", "packed_colwise"},
             {"model.layers.*.mlp.experts.down_proj", "rowwise"},
             {"model.layers.*.mlp.experts.down_proj_bias", "rowwise_rep"},
             {"model.layers.*.mlp.shared_expert.gate_proj", "colwise"},
             {"model.layers.*.mlp.shared_expert.up_proj", "colwise"},
             {"model.layers.*.mlp.shared_expert.down_proj", "rowwise"},
             {"model.layers.*.mlp.shared_experts.gate_proj", "colwise"},
             {"model.layers.*.mlp.shared_experts.up_proj", "colwise"},
             {"model.layers.*.mlp.shared_experts.down_proj", "rowwise"}}) {
      rules.push_back(rule);
    }
    return rules;
  }();
  return kPlan;
}

std::span<const PlanRule> expertPlan() {
  static constexpr PlanRule kPlan[] = {
      {"model.layers.*.mlp.experts.gate_up_proj", "grouped_gemm"},
      {"model.layers.*.mlp.experts.gate_up_proj_bias", "grouped_gemm"},
      {"model.layers.*.mlp.experts.down_proj", "grouped_gemm"},
  };
  return kPlan;
}

}  // namespace dcc::huggingface
