#include "frontends/huggingface/decoder.h"

#include "runtime/plan/kernels.h"

namespace dcc::huggingface {
namespace {

using mlir::Value;

constexpr char kRope[] = "model.rotary_emb";

class Decoder : public Model {
 public:
  explicit Decoder(DecoderSpec spec) : spec_(std::move(spec)) {}

  std::string size() const override { return std::to_string(spec_.layers) + " layers"; }
  int64_t vocabulary() const override { return spec_.vocabulary; }
  int64_t maxSequence() const override { return spec_.positions; }

  Result<Value> logits(ModelBuilder& b) const override {
    for (const auto& [name, rope] : spec_.ropes) b.frequencies(name, rope);
    Value x = b.embedding("model.embed_tokens", b.tokens(), spec_.vocabulary, spec_.hidden);
    if (spec_.embedding_scale != 1) x = b.scale("model.embed_tokens", x, spec_.embedding_scale);
    for (int64_t i = 0; i < spec_.layers; ++i) x = block(b, i, x);
    x = b.lastToken(norm(b, spec_.final_norm, x));
    ModelBuilder::LinearOptions options{.bias = spec_.head_bias, .sum = true};
    if (spec_.tied) options.weight = "model.embed_tokens.weight";
    x = b.linear("lm_head", x, spec_.vocabulary, options);
    if (spec_.logit_scale != 1) x = b.scale("lm_head", x, spec_.logit_scale);
    if (spec_.logit_cap > 0) x = b.softCap("lm_head", x, spec_.logit_cap);
    return x;
  }

 private:
  Value norm(ModelBuilder& b, const std::string& module, Value x) const {
    if (spec_.norm == DecoderSpec::Norm::kRms) {
      return b.rmsNorm(module, x, spec_.eps, {}, spec_.norm_plus);
    }
    return b.layerNorm(module, x, spec_.eps, spec_.norm == DecoderSpec::Norm::kLayerWithBias);
  }

  Value attention(ModelBuilder& b, int64_t i, const std::string& layer, Value x) const {
    const std::string module = layer + ".self_attn";
    if (spec_.self_attention) return spec_.self_attention(b, i, module, x);
    return b.attention(module, x, spec_.attentionOf(i), spec_.ropeOf(i));
  }

  Value mlp(ModelBuilder& b, int64_t i, const std::string& layer, Value x) const {
    const std::string module = layer + spec_.mlp_name;
    if (spec_.mlp) return spec_.mlp(b, i, module, x);
    return b.gatedMlp(module, x, spec_.intermediate, spec_.activation, spec_.mlp_bias);
  }

  // x plus what a part of the block gives.
  Value add(ModelBuilder& b, const std::string& layer, Value x, Value y) const {
    if (spec_.residual_scale != 1) y = b.scale(layer, y, spec_.residual_scale);
    return b.add(layer, x, y);
  }

  Value block(ModelBuilder& b, int64_t i, Value x) const {
    const std::string layer = "model.layers." + std::to_string(i);
    Value y = norm(b, layer + ".input_layernorm", x);
    if (spec_.residual == Residual::kParallel) {
      // The two sums of ranks become one.
      return add(b, layer, x, b.add(layer, attention(b, i, layer, y), mlp(b, i, layer, y)));
    }
    const bool sandwich = spec_.residual == Residual::kSandwich;
    y = attention(b, i, layer, y);
    if (sandwich) y = norm(b, layer + ".post_attention_layernorm", y);
    x = add(b, layer, x, y);
    y = norm(b, layer + (sandwich ? ".pre_feedforward_layernorm" : ".post_attention_layernorm"), x);
    y = mlp(b, i, layer, y);
    if (sandwich) y = norm(b, layer + ".post_feedforward_layernorm", y);
    return add(b, layer, x, y);
  }

  DecoderSpec spec_;
};

// The fraction of a head that turns; from the block of rope parameters, or beside it.
double rotaryFactor(const ConfigReader& config) {
  std::optional<ConfigReader> rope = config.object("rope_parameters");
  const char* key = "partial_rotary_factor";
  return rope && rope->has(key) ? rope->numberOr(key, 1) : config.numberOr(key, 1);
}

}  // namespace

DecoderSpec readDecoder(const ConfigReader& config) {
  DecoderSpec spec;
  spec.hidden = config.integer("hidden_size");
  spec.intermediate = config.integer("intermediate_size");
  spec.layers = config.integer("num_hidden_layers", {1, 10000});
  spec.vocabulary = config.integer("vocab_size");
  spec.positions = config.integerOr("max_position_embeddings", 2048);
  AttentionSpec& attention = spec.attention;
  attention.hidden = spec.hidden;
  attention.heads = config.integer("num_attention_heads", {1, 65536});
  attention.kv_heads = config.integerOr("num_key_value_heads", attention.heads, {1, 65536});
  attention.setHeadDim(
      config.integerOr("head_dim", std::max<int64_t>(1, spec.hidden / attention.heads)));
  spec.eps = config.positiveOr("rms_norm_eps", 1e-6);
  attention.eps = spec.eps;
  spec.tied = config.booleanOr("tie_word_embeddings", false);
  spec.activation = readActivation(config, "hidden_act", "silu");
  if (attention.heads % attention.kv_heads != 0) {
    config.fail("num_key_value_heads",
                "must divide num_attention_heads = " + std::to_string(attention.heads));
  }
  return spec;
}

std::string readActivation(const ConfigReader& config, std::string_view key,
                           const std::string& otherwise) {
  std::string name = config.stringOr(key, otherwise);
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" || name == "gelu_fast") name = "gelu_tanh";
  if (name == "swish") name = "silu";
  if (plan::functionNamed(name)) return name;
  config.fail(
      key, "'" + name + "' is not supported; gelu_pytorch_tanh, " + plan::functionNames() + " are");
  return "silu";
}

std::vector<std::string> readLayerTypes(const ConfigReader& config, int64_t layers) {
  std::vector<std::string> types = config.strings("layer_types");
  if (!types.empty() && types.size() != size_t(layers)) {
    config.fail("layer_types",
                "must name one type for each of the " + std::to_string(layers) + " layers");
    types.clear();
  }
  return types;
}

void setWindows(DecoderSpec& spec, const std::vector<int64_t>& windows) {
  spec.attentions.assign(spec.layers, spec.attention);
  for (size_t i = 0; i < windows.size() && i < spec.attentions.size(); ++i) {
    spec.attentions[i].window = windows[i];
  }
}

std::vector<int64_t> readWindows(const ConfigReader& config, int64_t layers) {
  std::vector<int64_t> windows(layers, 0);
  if (!config.booleanOr("use_sliding_window", false) || !config.has("sliding_window")) {
    return windows;
  }
  int64_t window = config.integer("sliding_window");
  int64_t full = config.integerOr("max_window_layers", layers, {0, INT32_MAX});
  std::vector<std::string> types = readLayerTypes(config, layers);
  for (int64_t i = 0; i < layers; ++i) {
    if (types.empty() ? i >= full : types[i] == "sliding_attention") windows[i] = window;
  }
  return windows;
}

Result<std::unique_ptr<Model>> makeDecoder(DecoderSpec spec, const ConfigReader& config) {
  DCC_RETURN_IF_ERROR(config.status());
  if (spec.ropes.empty()) {
    const auto columns = static_cast<double>(spec.attention.head_dim) * rotaryFactor(config);
    if (!(columns >= 2 && columns <= static_cast<double>(spec.attention.head_dim))) {
      config.fail("partial_rotary_factor", "must be above 0, at most 1, and leave two columns");
    }
    DCC_RETURN_IF_ERROR(config.status());
    DCC_ASSIGN(Rope rope, readRope(config, {.rotary_dim = static_cast<int64_t>(columns),
                                            .max_position_embeddings = spec.positions}));
    spec.ropes.emplace_back(kRope, std::move(rope));
  }
  return std::unique_ptr<Model>(std::make_unique<Decoder>(std::move(spec)));
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
