// SmolLM 3: Llama of which every fourth layer does not turn.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

// 1 where a layer turns.
std::vector<int64_t> readTurning(const ConfigReader& config, int64_t layers) {
  const char* key = "no_rope_layers";
  std::vector<int64_t> turning = config.integers(key, {0, 1});
  if (turning.empty()) {
    const int64_t interval = config.integerOr("no_rope_layer_interval", 4);
    for (int64_t i = 0; i < layers; ++i) turning.push_back((i + 1) % interval != 0);
  }
  if (turning.size() < static_cast<size_t>(layers)) {
    config.fail(key, "must have a number for each of the " + std::to_string(layers) + " layers");
    turning.resize(layers);
  }
  return turning;
}

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec =
      readDecoder(config, {.positions = 32768, .kv_heads = 4, .tied = true, .theta = 2000000});
  readBiases(config, spec);
  const std::vector<int64_t> turning = readTurning(config, spec.layers);
  const bool slides = config.booleanOr("use_sliding_window", false);
  const int64_t window = slides ? readWindow(config, 0) : 0;
  const std::vector<std::string> types = readLayerTypes(config, spec.layers);
  setWindows(spec, {});
  for (int64_t i = 0; i < spec.layers; ++i) {
    spec.attentions[i].rotates = turning[i] != 0;
    // Of themselves those that don't turn have the window.
    const bool own = types.empty() ? turning[i] == 0 : types[i] == "sliding_attention";
    if (own) spec.attentions[i].window = window;
  }
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kSmolLm3;
const Family kSmolLm3 = {"smollm3", "SmolLM3ForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
