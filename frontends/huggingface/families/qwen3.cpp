// Qwen3: an rms_norm on every head of q and k; upper layers may see a window.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config);
  if (!config.has("head_dim")) spec.attention.setHeadDim(128);
  spec.attention.bias = spec.attention.output_bias = config.booleanOr("attention_bias", false);
  spec.attention.head_norm = AttentionSpec::HeadNorm::kRms;
  setWindows(spec, readWindows(config, spec.layers));
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kQwen3;
const Family kQwen3 = {"qwen3", "Qwen3ForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
