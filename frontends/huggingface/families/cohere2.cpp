// Cohere 2 (Command R7B, A): layers with a window turn, those that see everything don't.
#include "frontends/huggingface/families/cohere.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readCohere(config, 10000);
  const int64_t pattern = config.integerOr("sliding_window_pattern", 4);
  setWindows(spec, readSlidingWindows(config, spec.layers, pattern, 4096));
  for (AttentionSpec& attention : spec.attentions) attention.rotates = attention.window > 0;
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kCohere2;
const Family kCohere2 = {"cohere2", "Cohere2ForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
