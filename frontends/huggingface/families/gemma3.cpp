// Gemma 3, text: a norm on every head of q and k; layers with a window turn by frequencies of their
// own.
#include "frontends/huggingface/families/gemma.h"

namespace dcc::huggingface {
namespace {

constexpr char kFull[] = "full_attention", kSliding[] = "sliding_attention";

// A block of rope_parameters for each type of layer or, from before transformers 5, rope_theta and
// rope_scaling of the full ones and rope_local_base_freq of the others.
Status readRopes(const ConfigReader& config, DecoderSpec& spec) {
  const std::optional<ConfigReader> blocks = config.object("rope_parameters");
  const std::optional<ConfigReader> scaling = config.object("rope_scaling");
  if (blocks && (scaling || !(blocks->has(kFull) || blocks->has(kSliding)))) {
    config.fail("rope_parameters",
                "must be blocks full_attention and sliding_attention, and the "
                "only scaling");
  }
  auto blockOf = [&](const char* type) { return blocks ? blocks->object(type) : std::nullopt; };
  RopeModel model{.rotary_dim = spec.attention.head_dim,
                  .max_position_embeddings = spec.positions,
                  .default_theta = 1e6};
  DCC_ASSIGN(Rope full, readRope(config, blocks ? blockOf(kFull) : scaling, model));
  model.default_theta = 1e4;
  model.theta_key = "rope_local_base_freq";
  DCC_ASSIGN(Rope local, readRope(config, blockOf(kSliding), model));
  spec.ropes.emplace_back("model.rotary_emb", std::move(full));
  spec.ropes.emplace_back("model.rotary_emb_local", std::move(local));
  return {};
}

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readGemma(config, {.positions = 131072,
                                        .kv_heads = 4,
                                        .head_dim = 256,
                                        .tied = true,
                                        .activation_key = "hidden_activation",
                                        .activation = "gelu_pytorch_tanh"});
  readSandwich(config, spec);
  spec.attention.head_norm = AttentionSpec::HeadNorm::kRms;
  // attn_logit_softcapping is Gemma 2's: transformers reads it and does nothing with it.
  spec.logit_cap = readCap(config, "final_logit_softcapping", 0);
  const int64_t pattern = config.integerOr("sliding_window_pattern", 6);
  const std::vector<int64_t> windows = readSlidingWindows(config, spec.layers, pattern, 4096);
  setWindows(spec, windows);
  DCC_RETURN_IF_ERROR(readRopes(config, spec));
  spec.rope_of = [windows](int64_t layer) {
    return windows[layer] > 0 ? "model.rotary_emb_local" : "model.rotary_emb";
  };
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kGemma3;
const Family kGemma3 = {"gemma3_text", "Gemma3ForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
