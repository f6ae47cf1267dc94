// Llama 1, 2 and 3: pre-norm residual blocks, grouped-query attention with rotary positions, a
// gated MLP, an untied or tied head.
#include <cmath>

#include "frontends/huggingface/family.h"

namespace dcc::huggingface {
namespace {

class Llama : public Model {
 public:
  explicit Llama(const ConfigReader& config) {
    hidden_ = config.integer("hidden_size");
    intermediate_ = config.integer("intermediate_size");
    layers_ = config.integer("num_hidden_layers", {1, 10000});
    vocabulary_ = config.integer("vocab_size");
    positions_ = config.integerOr("max_position_embeddings", 2048);
    attention_.heads = config.integer("num_attention_heads", {1, 65536});
    attention_.kv_heads = config.integerOr("num_key_value_heads", attention_.heads, {1, 65536});
    attention_.head_dim =
        config.integerOr("head_dim", std::max<int64_t>(1, hidden_ / attention_.heads));
    attention_.scale = 1.0 / std::sqrt(double(attention_.head_dim));
    attention_.bias = attention_.output_bias = config.booleanOr("attention_bias", false);
    mlp_bias_ = config.booleanOr("mlp_bias", false);
    eps_ = config.positiveOr("rms_norm_eps", 1e-6);
    tied_ = config.booleanOr("tie_word_embeddings", false);
    activation_ = config.stringOr("hidden_act", "silu");
    if (!nn::isActivation(activation_)) {
      config.fail("hidden_act", "'" + activation_ + "' is not supported; silu, gelu, relu are");
    }
    if (attention_.heads % attention_.kv_heads != 0) {
      config.fail("num_key_value_heads",
                  "must divide num_attention_heads = " + std::to_string(attention_.heads));
    }
  }

  Status readRotary(const ConfigReader& config) {
    DCC_ASSIGN(rope_, readRope(config, {.rotary_dim = attention_.head_dim,
                                        .max_position_embeddings = positions_}));
    return Status::success();
  }

  int64_t layers() const override { return layers_; }
  int64_t vocabulary() const override { return vocabulary_; }
  int64_t maxSequence() const override { return positions_; }

  void declare(ModelBuilder& builder) const override {
    builder.frequencies("model.rotary_emb", rope_);
  }

  mlir::Value hidden(ModelBuilder& b) const override {
    mlir::Value x = b.embedding("model.embed_tokens", b.tokens(), vocabulary_, hidden_);
    for (int64_t i = 0; i < layers_; ++i) {
      std::string layer = "model.layers." + std::to_string(i);
      mlir::Value y = b.rmsNorm(layer + ".input_layernorm", x, eps_);
      x = b.add(layer, x, b.attention(layer + ".self_attn", y, attention_, "model.rotary_emb"));
      y = b.rmsNorm(layer + ".post_attention_layernorm", x, eps_);
      x = b.add(layer, x, b.gatedMlp(layer + ".mlp", y, intermediate_, activation_, mlp_bias_));
    }
    return b.rmsNorm("model.norm", x, eps_);
  }

  mlir::Value head(ModelBuilder& b, mlir::Value hidden) const override {
    ModelBuilder::LinearOptions options;
    if (tied_) options.weight = "model.embed_tokens.weight";
    return b.linear("lm_head", hidden, vocabulary_, options);
  }

 private:
  int64_t hidden_, intermediate_, layers_, vocabulary_, positions_;
  AttentionSpec attention_;
  bool mlp_bias_, tied_;
  double eps_;
  std::string activation_;
  Rope rope_;
};

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  auto model = std::make_unique<Llama>(config);
  DCC_RETURN_IF_ERROR(config.status());
  DCC_RETURN_IF_ERROR(model->readRotary(config));
  return std::unique_ptr<Model>(std::move(model));
}

// transformers' own plan, and the vocabulary cut on both ends: the table by rows, the head by
// columns, whose logits stay cut.
constexpr PlanRule kPlan[] = {
    {"model.embed_tokens", "embedding_rowwise"},
    {"model.layers.*.self_attn.q_proj", "colwise"},
    {"model.layers.*.self_attn.k_proj", "colwise"},
    {"model.layers.*.self_attn.v_proj", "colwise"},
    {"model.layers.*.self_attn.o_proj", "rowwise"},
    {"model.layers.*.mlp.gate_proj", "colwise"},
    {"model.layers.*.mlp.up_proj", "colwise"},
    {"model.layers.*.mlp.down_proj", "rowwise"},
    {"lm_head", "colwise"},
};

}  // namespace

extern const Family kLlama;
const Family kLlama = {"llama", "LlamaForCausalLM", kPlan, read};

}  // namespace dcc::huggingface
