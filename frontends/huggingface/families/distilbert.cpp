// DistilBERT: BERT without types of tokens and without a pooler, under other names.
#include "frontends/huggingface/decoder.h"
#include "frontends/huggingface/encoder.h"

namespace dcc::huggingface {
namespace {

using mlir::Value;

EncoderSpec readSpec(const ConfigReader& config) {
  EncoderSpec spec;
  spec.base = "distilbert";
  spec.vocabulary = config.integerOr("vocab_size", 30522);
  spec.hidden = config.integerOr("dim", 768);
  spec.layers = config.integerOr("n_layers", 6, {1, 10000});
  spec.attention.heads = config.integerOr("n_heads", 12, {1, 65536});
  spec.intermediate = config.integerOr("hidden_dim", 3072);
  spec.activation = readActivation(config, "activation", "gelu");
  spec.position_rows = config.integerOr("max_position_embeddings", 512);
  spec.names = {.layers = "transformer.layer",
                .query = ".attention.q_lin",
                .key = ".attention.k_lin",
                .value = ".attention.v_lin",
                .output = ".attention.out_lin",
                .attention_norm = ".sa_layer_norm",
                .up = ".ffn.lin1",
                .down = ".ffn.lin2",
                .norm = ".output_layer_norm"};
  return spec;
}

Value classify(ModelBuilder& b, Value hidden, Value, int64_t labels) {
  Value x = b.pool("pre_classifier", "first", hidden);
  x = b.linear("pre_classifier", x, ModelBuilder::columns(hidden), {.bias = true});
  x = b.activation("pre_classifier.activation", "relu", x);
  return b.linear("classifier", x, labels, {.bias = true, .sum = true});
}

Result<std::unique_ptr<Model>> readText(const ConfigReader& config) {
  EncoderSpec spec = readSpec(config);
  spec.head = classify;
  return makeEncoder(std::move(spec), config);
}

Result<std::unique_ptr<Model>> readTokens(const ConfigReader& config) {
  EncoderSpec spec = readSpec(config);
  classifyTokens(spec);
  return makeEncoder(std::move(spec), config);
}

Result<std::unique_ptr<Model>> readBare(const ConfigReader& config) {
  EncoderSpec spec = readSpec(config);
  spec.bare = true;
  return makeEncoder(std::move(spec), config);
}

std::span<const PlanRule> plan() {
  static constexpr PlanRule kPlan[] = {
      {"embeddings.word_embeddings", "embedding_rowwise"},
      {"transformer.layer.*.attention.q_lin", "colwise"},
      {"transformer.layer.*.attention.k_lin", "colwise"},
      {"transformer.layer.*.attention.v_lin", "colwise"},
      {"transformer.layer.*.attention.out_lin", "rowwise"},
      {"transformer.layer.*.ffn.lin1", "colwise"},
      {"transformer.layer.*.ffn.lin2", "rowwise"},
      {"pre_classifier", "colwise"},
      {"classifier", "rowwise"},
  };
  return kPlan;
}

std::span<const PlanRule> tokensPlan() {
  static const std::vector<PlanRule> kPlan = planForTokens(plan());
  return kPlan;
}

}  // namespace

extern const Family kDistilBert, kDistilBertTokens, kDistilBertModel;
const Family kDistilBert = {"distilbert", "DistilBertForSequenceClassification", plan, readText};
const Family kDistilBertTokens = {"distilbert", "DistilBertForTokenClassification", tokensPlan,
                                  readTokens};
const Family kDistilBertModel = {"distilbert", "DistilBertModel", plan, readBare};

}  // namespace dcc::huggingface
