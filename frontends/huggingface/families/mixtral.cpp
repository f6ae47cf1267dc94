// Mixtral: Mistral whose every MLP is a mixture of experts.
#include "frontends/huggingface/moe.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec =
      readDecoder(config, {.positions = 131072, .kv_heads = 8, .eps = 1e-5, .theta = 1e6});
  spec.attention.window = config.integerOr("sliding_window", 0, {0, INT32_MAX});
  MoeSpec moe = readMoe(config, spec, "intermediate_size", {8, 2, 14336});
  moe.route.normalize = true;
  spec.mlp = [moe](ModelBuilder& b, int64_t, const std::string& module, mlir::Value x) {
    return huggingface::moe(b, module, x, moe, findExperts(b, module, moe));
  };
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kMixtral;
const Family kMixtral = {"mixtral", "MixtralForCausalLM", moePlan, read, expertPlan};

}  // namespace dcc::huggingface
