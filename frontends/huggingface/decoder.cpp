#include "frontends/huggingface/decoder.h"

#include "runtime/base/printable.h"
#include "runtime/plan/kernels.h"

namespace dcc::huggingface {
namespace {

using mlir::Value;

constexpr char kRope[] = "model.rotary_emb";

class Decoder : public CausalModel {
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
    const bool bias = spec_.norm == DecoderSpec::Norm::kLayerWithBias;
    return b.layerNorm(module, x, spec_.eps, bias, spec_.norm_plus);
  }

  Value attention(ModelBuilder& b, int64_t i, const std::string& layer, Value x) const {
    const std::string module = layer + ".self_attn";
    if (spec_.self_attention) return spec_.self_attention(b, i, module, x);
    return b.attention(module, x, spec_.attentionOf(i), spec_.ropeOf(i));
  }

  Value mlp(ModelBuilder& b, int64_t i, const std::string& layer, Value x) const {
    const std::string module = layer + spec_.mlp_name;
    if (spec_.mlp) return spec_.mlp(b, i, module, x);
    if (spec_.plain_mlp) {
      return b.mlp(module, x, spec_.intermediate, spec_.activation, spec_.mlp_bias,
                   spec_.plain_mlp->up, spec_.plain_mlp->down);
    }
    return b.gatedMlp(module, x, spec_.intermediate, spec_.activation, spec_.mlp_bias,
                      spec_.packed_mlp);
  }

  // x plus what a part of the block gives.
  Value add(ModelBuilder& b, const std::string& layer, Value x, Value y) const {
    if (spec_.residual_scale != 1) y = b.scale(layer, y, spec_.residual_scale);
    return b.add(layer, x, y);
  }

  Value block(ModelBuilder& b, int64_t i, Value x) const {
    const std::string layer = "model.layers." + std::to_string(i);
    auto normed = [&](const std::string& name, Value y) {
      return name.empty() ? y : norm(b, layer + "." + name, y);
    };
    const Value read = normed(spec_.before_attention, x);
    const Value attended = normed(spec_.after_attention, attention(b, i, layer, read));
    if (spec_.parallel) {
      const Value own = spec_.before_mlp.empty() ? read : normed(spec_.before_mlp, x);
      // One sum, so that ranks exchange it once.
      return add(b, layer, x, b.addSums(layer, attended, mlp(b, i, layer, own)));
    }
    x = add(b, layer, x, attended);
    const Value fed = mlp(b, i, layer, normed(spec_.before_mlp, x));
    return add(b, layer, x, normed(spec_.after_mlp, fed));
  }

  DecoderSpec spec_;
};

// The columns of a head that turn; the factor is in the block of rope parameters or beside it.
int64_t rotaryColumns(const ConfigReader& config, const DecoderSpec& spec) {
  const int64_t all = spec.attention.head_dim;
  if (spec.rotary_factor == 0) return all;
  const std::string_view key = "partial_rotary_factor";
  const std::optional<ConfigReader> block = ropeBlock(config);
  const ConfigReader& at = block && block->has(key) ? *block : config;
  const double factor = at.numberOr(key, spec.rotary_factor);
  const double columns = static_cast<double>(all) * factor;
  if (columns >= 2 && factor <= 1) return static_cast<int64_t>(columns);
  at.fail(key, "must be at most 1 and leave two columns of " + std::to_string(all));
  return all;
}

// transformers has as many as heads where it is null, and the family's own default where it is not
// mentioned.
int64_t readKvHeads(const ConfigReader& config, int64_t heads, const Defaults& defaults) {
  const std::string_view key = "num_key_value_heads";
  const bool own = defaults.kv_heads > 0 && !config.mentions(key);
  const int64_t kv_heads = config.integerOr(key, own ? defaults.kv_heads : heads, {1, 65536});
  if (heads % kv_heads != 0) {
    config.fail(key, "must divide num_attention_heads = " + std::to_string(heads));
    return heads;
  }
  return kv_heads;
}

}  // namespace

DecoderSpec readDecoder(const ConfigReader& config, const Defaults& defaults) {
  DecoderSpec spec;
  spec.hidden = config.integer("hidden_size");
  spec.intermediate = config.integer("intermediate_size");
  spec.layers = config.integer("num_hidden_layers", {1, 10000});
  spec.vocabulary = config.integer("vocab_size");
  spec.positions = config.integerOr("max_position_embeddings", defaults.positions);
  AttentionSpec& attention = spec.attention;
  attention.hidden = spec.hidden;
  attention.heads = config.integer("num_attention_heads", {1, 65536});
  attention.kv_heads = readKvHeads(config, attention.heads, defaults);
  const int64_t share = std::max<int64_t>(1, spec.hidden / attention.heads);
  const bool own = defaults.head_dim > 0 && !config.mentions("head_dim");
  attention.setHeadDim(config.integerOr("head_dim", own ? defaults.head_dim : share));
  spec.eps = config.positiveOr(defaults.eps_key, defaults.eps);
  attention.eps = spec.eps;
  spec.tied = config.booleanOr("tie_word_embeddings", defaults.tied);
  spec.activation = readActivation(config, defaults.activation_key, defaults.activation);
  spec.theta = defaults.theta;
  spec.rotary_factor = defaults.rotary_factor;
  return spec;
}

int64_t readWindow(const ConfigReader& config, int64_t otherwise) {
  const std::string_view key = "sliding_window";
  return config.integerOr(key, config.mentions(key) ? 0 : otherwise);
}

double readCap(const ConfigReader& config, std::string_view key, double otherwise) {
  return config.positiveOr(key, config.mentions(key) ? 0 : otherwise);
}

void readBiases(const ConfigReader& config, DecoderSpec& spec) {
  spec.attention.bias = spec.attention.output_bias = config.booleanOr("attention_bias", false);
  spec.mlp_bias = config.booleanOr("mlp_bias", false);
}

std::string readActivation(const ConfigReader& config, std::string_view key,
                           const std::string& otherwise) {
  std::string name = config.stringOr(key, otherwise);
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" || name == "gelu_fast") name = "gelu_tanh";
  if (name == "swish") name = "silu";
  if (plan::functionNamed(name)) return name;
  config.fail(key, "'" + printable(name) + "' is not supported; gelu_pytorch_tanh, " +
                       plan::functionNames() + " are");
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

std::vector<int64_t> readSlidingWindows(const ConfigReader& config, int64_t layers, int64_t pattern,
                                        int64_t otherwise) {
  const int64_t window = readWindow(config, otherwise);
  const std::vector<std::string> types = readLayerTypes(config, layers);
  std::vector<int64_t> windows(layers, 0);
  for (int64_t i = 0; i < layers; ++i) {
    const bool slides = types.empty() ? (i + 1) % pattern != 0 : types[i] == "sliding_attention";
    if (slides) windows[i] = window;
    if (types.empty() || slides || types[i] == "full_attention") continue;
    config.fail("layer_types", "names '" + printable(types[i]) +
                                   "'; full_attention and sliding_attention are supported here");
  }
  return windows;
}

void setWindows(DecoderSpec& spec, const std::vector<int64_t>& windows) {
  spec.attentions.assign(spec.layers, spec.attention);
  for (size_t i = 0; i < windows.size() && i < spec.attentions.size(); ++i) {
    spec.attentions[i].window = windows[i];
  }
}

std::vector<int64_t> readWindows(const ConfigReader& config, int64_t layers) {
  std::vector<int64_t> windows(layers, 0);
  if (!config.booleanOr("use_sliding_window", false)) return windows;
  int64_t window = readWindow(config, 4096);
  int64_t full = config.integerOr("max_window_layers", 28, {0, INT32_MAX});
  std::vector<std::string> types = readLayerTypes(config, layers);
  for (int64_t i = 0; i < layers; ++i) {
    if (types.empty() ? i >= full : types[i] == "sliding_attention") windows[i] = window;
  }
  return windows;
}

Result<std::unique_ptr<Model>> makeDecoder(DecoderSpec spec, const ConfigReader& config) {
  DCC_RETURN_IF_ERROR(config.status());
  if (spec.ropes.empty()) {
    DCC_ASSIGN(Rope rope, readRope(config, {.rotary_dim = rotaryColumns(config, spec),
                                            .max_position_embeddings = spec.positions,
                                            .default_theta = spec.theta,
                                            .default_original_positions = spec.original_positions,
                                            .only_longrope = spec.only_longrope}));
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
