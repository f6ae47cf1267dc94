// Qwen2 and Qwen2.5: biases on q, k and v; upper layers may see a window.
#include "frontends/huggingface/dense_decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DenseSpec spec = readDense(config);
  spec.attention.bias = true;
  spec.windows = readWindows(config, spec.layers);
  return makeDense(std::move(spec), config);
}

}  // namespace

extern const Family kQwen2;
const Family kQwen2 = {"qwen2", "Qwen2ForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
