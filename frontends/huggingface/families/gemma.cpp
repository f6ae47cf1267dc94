// Gemma: norms stored as their distance from one, embeddings times sqrt(hidden_size).
#include <cmath>

#include "frontends/huggingface/families/gemma.h"

namespace dcc::huggingface {

DecoderSpec readGemma(const ConfigReader& config, const Defaults& defaults) {
  DecoderSpec spec = readDecoder(config, defaults);
  spec.norm_plus = spec.attention.norm_plus = 1;
  spec.embedding_scale = static_cast<float>(std::sqrt(static_cast<double>(spec.hidden)));
  spec.attention.bias = spec.attention.output_bias = config.booleanOr("attention_bias", false);
  if (config.booleanOr("use_bidirectional_attention", false)) {
    config.fail("use_bidirectional_attention", "is not supported; false is expected");
  }
  return spec;
}

void readSandwich(const ConfigReader& config, DecoderSpec& spec) {
  spec.after_attention = "post_attention_layernorm";
  spec.before_mlp = "pre_feedforward_layernorm";
  spec.after_mlp = "post_feedforward_layernorm";
  spec.attention.scale = 1 / std::sqrt(config.positiveOr("query_pre_attn_scalar", 256));
}

namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readGemma(config, {.positions = 8192,
                                        .kv_heads = 16,
                                        .head_dim = 256,
                                        .tied = true,
                                        .activation = "gelu_pytorch_tanh"});
  // Published files say gelu and mean its approximation, as hidden_activation says where it is.
  if (spec.activation == "gelu") spec.activation = "gelu_tanh";
  if (readActivation(config, "hidden_activation", spec.activation) != spec.activation) {
    config.fail("hidden_activation", "is not what hidden_act is; the same is expected");
  }
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kGemma;
const Family kGemma = {"gemma", "GemmaForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
