// Qwen3: an rms_norm on every head of q and k; upper layers may see a window.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 32768, .kv_heads = 32, .head_dim = 128});
  spec.attention.bias = spec.attention.output_bias = config.booleanOr("attention_bias", false);
  spec.attention.head_norm = AttentionSpec::HeadNorm::kRms;
  setWindows(spec, readWindows(config, spec.layers));
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kQwen3;
const Family kQwen3 = {"qwen3", "Qwen3ForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
