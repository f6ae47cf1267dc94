// Qwen1.5-MoE and Qwen2-MoE: some layers with experts and one more that all tokens take, gated.
#include <algorithm>

#include "frontends/huggingface/moe.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 32768, .kv_heads = 16});
  spec.attention.bias = config.booleanOr("qkv_bias", true);
  setWindows(spec, readWindows(config, spec.layers));
  MoeSpec moe = readMoe(config, spec, "moe_intermediate_size", {60, 4, 1408});
  moe.shared_width = config.integerOr("shared_expert_intermediate_size", 5632);
  moe.shared_gate = ".shared_expert_gate";
  const std::vector<int64_t> dense = config.integers("mlp_only_layers", {0, INT32_MAX});
  const int64_t step = config.integerOr("decoder_sparse_step", 1);
  spec.mlp = [moe, dense, step, width = spec.intermediate](
                 ModelBuilder& b, int64_t i, const std::string& module, mlir::Value x) {
    if (std::ranges::find(dense, i) != dense.end() || (i + 1) % step != 0) {
      return b.gatedMlp(module, x, width, moe.activation, false);
    }
    return huggingface::moe(b, module, x, moe, findExperts(b, module, moe));
  };
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kQwen2Moe;
const Family kQwen2Moe = {"qwen2_moe", "Qwen2MoeForCausalLM", moePlan, read, expertPlan};

}  // namespace dcc::huggingface
