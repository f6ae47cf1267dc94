// Qwen3 with experts (30B-A3B, 235B-A22B).
#include <algorithm>

#include "frontends/huggingface/moe.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 32768, .kv_heads = 4});
  spec.attention.bias = spec.attention.output_bias = config.booleanOr("attention_bias", false);
  spec.attention.head_norm = AttentionSpec::HeadNorm::kRms;
  // Of all layers, where it is used at all.
  if (config.booleanOr("use_sliding_window", false)) {
    spec.attention.window = readWindow(config, 4096);
  }
  const MoeSpec moe = readMoe(config, spec, "moe_intermediate_size", {128, 8, 768});
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

extern const Family kQwen3Moe;
const Family kQwen3Moe = {"qwen3_moe", "Qwen3MoeForCausalLM", moePlan, read, expertPlan};

}  // namespace dcc::huggingface
