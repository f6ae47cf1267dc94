// gpt-oss: attention with sinks, every other layer in a window, experts with biases and a clamp.
#include "frontends/huggingface/moe.h"

namespace dcc::huggingface {
namespace {

// down_proj_bias [experts, hidden], seen as the matrix that multiplies the gates.
ExpertsSpec experts(const ModelBuilder& b, const ConfigReader& config, const std::string& module,
                    const MoeSpec& moe) {
  const int64_t n = moe.experts, width = moe.width, hidden = moe.hidden;
  ExpertsSpec spec = packedExperts(b, module, moe, true);
  spec.limit = config.positiveOr("swiglu_limit", 7.0);
  spec.alpha = config.positiveOr("swiglu_alpha", 1.702);
  const std::string bias = module + ".experts.gate_up_proj_bias";
  spec.gate_bias = {{bias, {n, 2 * width}, {n, width}, {2 * width, 2}}};
  spec.up_bias = {{bias, {n, 2 * width}, {n, width}, {2 * width, 2}, 1}};
  spec.down_bias = {{module + ".experts.down_proj_bias", {n, hidden}, {hidden, n}, {1, hidden}}};
  return spec;
}

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(
      config, {.positions = 131072, .kv_heads = 8, .head_dim = 64, .eps = 1e-5, .theta = 150000});
  spec.attention.bias = spec.attention.output_bias = config.booleanOr("attention_bias", true);
  spec.attention.sinks = true;
  if (!config.has("rope_parameters") && !config.has("rope_scaling")) {
    config.fail("rope_parameters", "is missing; what these models turn by is expected");
  }
  const int64_t window = config.integerOr("sliding_window", 128);
  const std::vector<std::string> types = readLayerTypes(config, spec.layers);
  std::vector<int64_t> windows(spec.layers, 0);
  for (int64_t i = 0; i < spec.layers; ++i) {
    const bool slides = types.empty() ? i % 2 == 0 : types[i] == "sliding_attention";
    if (slides) windows[i] = window;
  }
  setWindows(spec, windows);
  MoeSpec moe = readMoe(config, spec, "intermediate_size", {128, 4, 2880});
  moe.router = ".router";
  moe.route.normalize = true;  // a softmax of the chosen
  spec.mlp = [moe, config](ModelBuilder& b, int64_t, const std::string& module, mlir::Value x) {
    return huggingface::moe(b, module, x, moe, experts(b, config, module, moe));
  };
  return makeDecoder(std::move(spec), config);
}

std::span<const PlanRule> plan() {
  static const std::vector<PlanRule> kPlan = [] {
    std::vector<PlanRule> rules(moePlan().begin(), moePlan().end());
    rules.push_back({"model.layers.*.self_attn.sinks", "colwise"});
    // Experts' matrices are stored as [in, out].
    rules.push_back({"model.layers.*.mlp.experts.gate_up_proj", "packed_rowwise"});
    rules.push_back({"model.layers.*.mlp.experts.down_proj", "colwise"});
    return rules;
  }();
  return kPlan;
}

}  // namespace

extern const Family kGptOss;
const Family kGptOss = {"gpt_oss", "GptOssForCausalLM", plan, read, expertPlan};

}  // namespace dcc::huggingface
