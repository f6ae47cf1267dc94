// Gemma 2: soft caps on scores and logits, a window on every other layer.
#include "frontends/huggingface/families/gemma.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readGemma(config, {.positions = 8192,
                                        .kv_heads = 4,
                                        .head_dim = 256,
                                        .tied = true,
                                        .activation_key = "hidden_activation",
                                        .activation = "gelu_pytorch_tanh"});
  readSandwich(config, spec);
  spec.attention.softcap = readCap(config, "attn_logit_softcapping", 50);
  spec.logit_cap = readCap(config, "final_logit_softcapping", 30);
  setWindows(spec, readSlidingWindows(config, spec.layers, 2, 4096));
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kGemma2;
const Family kGemma2 = {"gemma2", "Gemma2ForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
