// Qwen2 and Qwen2.5: biases on q, k and v; upper layers may see a window.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 32768, .kv_heads = 32});
  spec.attention.bias = true;
  setWindows(spec, readWindows(config, spec.layers));
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kQwen2;
const Family kQwen2 = {"qwen2", "Qwen2ForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
