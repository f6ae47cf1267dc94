#include "frontends/huggingface/dense_decoder.h"

namespace dcc::huggingface {
namespace {

class DenseDecoder : public Model {
 public:
  explicit DenseDecoder(DenseSpec spec) : spec_(std::move(spec)) {}

  std::string size() const override { return std::to_string(spec_.layers) + " layers"; }
  int64_t vocabulary() const override { return spec_.vocabulary; }
  int64_t maxSequence() const override { return spec_.positions; }

  Result<mlir::Value> logits(ModelBuilder& b) const override {
    b.frequencies("model.rotary_emb", spec_.rope);
    mlir::Value x = b.embedding("model.embed_tokens", b.tokens(), spec_.vocabulary, spec_.hidden);
    for (int64_t i = 0; i < spec_.layers; ++i) {
      std::string layer = "model.layers." + std::to_string(i);
      AttentionSpec attention = spec_.attention;
      attention.window = size_t(i) < spec_.windows.size() ? spec_.windows[i] : 0;
      mlir::Value y = b.rmsNorm(layer + ".input_layernorm", x, spec_.eps);
      x = b.add(layer, x, b.attention(layer + ".self_attn", y, attention, "model.rotary_emb"));
      y = b.rmsNorm(layer + ".post_attention_layernorm", x, spec_.eps);
      x = b.add(
          layer, x,
          b.gatedMlp(layer + ".mlp", y, spec_.intermediate, spec_.activation, spec_.mlp_bias));
    }
    x = b.lastToken(b.rmsNorm("model.norm", x, spec_.eps));
    ModelBuilder::LinearOptions options{.sum = true};
    if (spec_.tied) options.weight = "model.embed_tokens.weight";
    return b.linear("lm_head", x, spec_.vocabulary, options);
  }

 private:
  DenseSpec spec_;
};

}  // namespace

DenseSpec readDense(const ConfigReader& config) {
  DenseSpec spec;
  spec.hidden = config.integer("hidden_size");
  spec.intermediate = config.integer("intermediate_size");
  spec.layers = config.integer("num_hidden_layers", {1, 10000});
  spec.vocabulary = config.integer("vocab_size");
  spec.positions = config.integerOr("max_position_embeddings", 2048);
  AttentionSpec& attention = spec.attention;
  attention.heads = config.integer("num_attention_heads", {1, 65536});
  attention.kv_heads = config.integerOr("num_key_value_heads", attention.heads, {1, 65536});
  attention.setHeadDim(
      config.integerOr("head_dim", std::max<int64_t>(1, spec.hidden / attention.heads)));
  spec.eps = config.positiveOr("rms_norm_eps", 1e-6);
  attention.eps = spec.eps;
  spec.tied = config.booleanOr("tie_word_embeddings", false);
  spec.activation = config.stringOr("hidden_act", "silu");
  if (spec.activation == "gelu_pytorch_tanh" || spec.activation == "gelu_new") {
    spec.activation = "gelu_tanh";
  }
  if (!nn::isActivation(spec.activation)) {
    config.fail("hidden_act", "'" + spec.activation +
                                  "' is not supported; silu, gelu, gelu_pytorch_tanh, relu are");
  }
  // A whole head turns; ignoring the field would give other numbers without a word.
  std::optional<ConfigReader> rope = config.object("rope_parameters");
  if (config.numberOr("partial_rotary_factor", 1) != 1 ||
      (rope && rope->numberOr("partial_rotary_factor", 1) != 1)) {
    config.fail("partial_rotary_factor", "is not supported by this architecture; 1 is");
  }
  if (attention.heads % attention.kv_heads != 0) {
    config.fail("num_key_value_heads",
                "must divide num_attention_heads = " + std::to_string(attention.heads));
  }
  return spec;
}

std::vector<int64_t> readWindows(const ConfigReader& config, int64_t layers) {
  std::vector<int64_t> windows(layers, 0);
  if (!config.booleanOr("use_sliding_window", false) || !config.has("sliding_window")) {
    return windows;
  }
  int64_t window = config.integer("sliding_window");
  int64_t full = config.integerOr("max_window_layers", layers, {0, INT32_MAX});
  std::vector<std::string> types = config.strings("layer_types");
  if (!types.empty() && types.size() != size_t(layers)) {
    config.fail("layer_types",
                "must name one type for each of the " + std::to_string(layers) + " layers");
    return windows;
  }
  for (int64_t i = 0; i < layers; ++i) {
    if (types.empty() ? i >= full : types[i] == "sliding_attention") windows[i] = window;
  }
  return windows;
}

Result<std::unique_ptr<Model>> makeDense(DenseSpec spec, const ConfigReader& config) {
  DCC_RETURN_IF_ERROR(config.status());
  DCC_ASSIGN(spec.rope, readRope(config, {.rotary_dim = spec.attention.head_dim,
                                          .max_position_embeddings = spec.positions}));
  return std::unique_ptr<Model>(std::make_unique<DenseDecoder>(std::move(spec)));
}

std::span<const PlanRule> densePlan() {
  static constexpr PlanRule kPlan[] = {
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
  return kPlan;
}

}  // namespace dcc::huggingface
