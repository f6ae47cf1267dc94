// Exaone 4: norms behind attention and MLP in place of before them, and on every head of q and k;
// where some layers have a window, only those turn.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.kv_heads = 32, .eps = 1e-5});
  spec.before_attention = spec.before_mlp = "";
  spec.after_attention = "post_attention_layernorm";
  spec.after_mlp = "post_feedforward_layernorm";
  spec.attention.head_norm = AttentionSpec::HeadNorm::kRms;
  // Published files have a text, "LLLG", beside layer_types.
  const char* key = "sliding_window_pattern";
  const int64_t pattern = config.has("layer_types") ? 1 : config.integerOr(key, 4);
  setWindows(spec, readSlidingWindows(config, spec.layers, pattern, 4096));
  const bool hybrid = readWindow(config, 4096) > 0;
  for (AttentionSpec& attention : spec.attentions) {
    attention.rotates = !hybrid || attention.window > 0;
  }
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kExaone4;
const Family kExaone4 = {"exaone4", "Exaone4ForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
