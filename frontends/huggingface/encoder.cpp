#include "frontends/huggingface/encoder.h"

#include "frontends/huggingface/sentence_transformers.h"

namespace dcc::huggingface {
namespace {

using mlir::Value;

class Encoder : public Model {
 public:
  explicit Encoder(EncoderSpec spec) : spec_(std::move(spec)) {}

  std::string size() const override { return std::to_string(spec_.layers) + " layers"; }
  int64_t vocabulary() const override { return spec_.vocabulary; }
  int64_t maxSequence() const override { return spec_.longest; }
  int64_t tokenTypes() const override { return spec_.types; }
  bool encodes() const override { return true; }

  Result<std::vector<NamedValue>> results(ModelBuilder& b) const override {
    // As they were called before 2019, and still are in the best-known checkpoints.
    b.alsoNamed("LayerNorm.weight", "LayerNorm.gamma");
    b.alsoNamed("LayerNorm.bias", "LayerNorm.beta");
    const std::string prefix = spec_.base + ".";
    const bool prefixed = !spec_.bare || b.has(prefix + "embeddings.word_embeddings.weight");
    const std::string base = prefixed ? prefix : "";

    Value x = embeddings(b, base + "embeddings");
    for (int64_t i = 0; i < spec_.layers; ++i) {
      x = block(b, base + spec_.names.layers + "." + std::to_string(i), x);
    }
    x = b.inF32(x);
    std::vector<NamedValue> results{{"hidden", x}};
    Value pooled;
    if (spec_.pooler && b.has(base + "pooler.dense.weight")) {
      pooled = b.linear(base + "pooler.dense", b.pool(base + "pooler", "first", x), spec_.hidden,
                        {.bias = true, .sum = true});
      pooled = b.activation(base + "pooler.activation", "tanh", pooled);
      results.push_back({"pooled", pooled});
    }
    if (spec_.head) results.push_back({"logits", spec_.head(b, x, pooled, spec_.labels)});
    if (!spec_.pooling.empty()) {
      Value y = b.pool("pooling", spec_.pooling, x);
      if (spec_.normalizes) y = b.normalize("normalize", y);
      results.push_back({"embedding", y});
    }
    return results;
  }

 private:
  Value embeddings(ModelBuilder& b, const std::string& module) const {
    Value x = b.embedding(module + ".word_embeddings", b.tokens(), spec_.vocabulary, spec_.hidden);
    if (spec_.types > 0) {
      x = b.add(
          module, x,
          b.embedding(module + ".token_type_embeddings", b.types(), spec_.types, spec_.hidden));
    }
    x = b.add(module, x,
              b.positionEmbedding(module + ".position_embeddings", spec_.position_rows,
                                  spec_.first_position, spec_.hidden));
    return b.layerNorm(module + ".LayerNorm", x, spec_.eps, true);
  }

  Value attention(ModelBuilder& b, const std::string& layer, Value x) const {
    const AttentionSpec& spec = spec_.attention;
    const auto project = [&](const char* name, bool shared) {
      return b.linear(layer + name, x, spec.heads * spec.head_dim,
                      {.bias = true, .heads = spec.heads, .shared = shared});
    };
    const EncoderNames& names = spec_.names;
    Value q = project(names.query, false);
    Value k = project(names.key, true), v = project(names.value, true);
    return b.linear(layer + names.output, b.attend(layer + ".attention", q, k, v, spec),
                    spec_.hidden, {.bias = true, .sum = true});
  }

  Value block(ModelBuilder& b, const std::string& layer, Value x) const {
    const EncoderNames& names = spec_.names;
    Value y = b.add(layer, attention(b, layer, x), x);
    x = b.layerNorm(layer + names.attention_norm, y, spec_.eps, true);
    y = b.mlp(layer, x, spec_.intermediate, spec_.activation, true, names.up, names.down);
    return b.layerNorm(layer + names.norm, b.add(layer, y, x), spec_.eps, true);
  }

  EncoderSpec spec_;
};

}  // namespace

Result<std::unique_ptr<Model>> makeEncoder(EncoderSpec spec, const ConfigReader& config) {
  if (config.booleanOr("is_decoder", false)) config.fail("is_decoder", "must be false");
  spec.labels = config.count("id2label");
  if (spec.labels == 0) spec.labels = config.integerOr("num_labels", 2, {1, 1 << 20});
  AttentionSpec& attention = spec.attention;
  if (spec.hidden % attention.heads != 0) {
    config.fail("hidden_size", "must be a multiple of the number of heads");
  }
  if (spec.position_rows <= spec.first_position) {
    config.fail("max_position_embeddings", "must be more than pad_token_id + 1");
  }
  DCC_RETURN_IF_ERROR(config.status());
  attention.hidden = spec.hidden;
  attention.kv_heads = attention.heads;
  attention.setHeadDim(spec.hidden / attention.heads);
  attention.whole = true;
  spec.longest = spec.position_rows - spec.first_position;
  DCC_ASSIGN(const std::optional<SentencePooling> pooling, readSentencePooling(config.file()));
  if (pooling) {
    spec.pooling = pooling->how;
    spec.normalizes = pooling->normalizes;
    if (pooling->longest > 0) spec.longest = std::min(spec.longest, pooling->longest);
  }
  return std::unique_ptr<Model>(std::make_unique<Encoder>(std::move(spec)));
}

std::vector<PlanRule> planForTokens(std::span<const PlanRule> plan) {
  std::vector<PlanRule> rules(plan.begin(), plan.end());
  rules.back().strategy = "rowwise_split_input";
  return rules;
}

void classifyTokens(EncoderSpec& spec) {
  spec.pooler = false;
  spec.head = [](ModelBuilder& b, Value hidden, Value, int64_t labels) {
    return b.linear("classifier", hidden, labels, {.bias = true, .sum = true});
  };
}

}  // namespace dcc::huggingface
