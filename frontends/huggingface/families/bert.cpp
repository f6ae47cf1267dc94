// BERT, RoBERTa and XLM-RoBERTa: one encoder, which differs in where positions begin and in the
// head.
#include "frontends/huggingface/decoder.h"
#include "frontends/huggingface/encoder.h"

namespace dcc::huggingface {
namespace {

using mlir::Value;

struct Defaults {
  const char* base;
  int64_t vocabulary;
  bool offset;  // positions begin behind the padding token's id
};
constexpr Defaults kBertDefaults = {"bert", 30522, false};
constexpr Defaults kRobertaDefaults = {"roberta", 50265, true};

EncoderSpec readSpec(const ConfigReader& config, const Defaults& defaults) {
  EncoderSpec spec;
  spec.base = defaults.base;
  spec.vocabulary = config.integerOr("vocab_size", defaults.vocabulary);
  spec.hidden = config.integerOr("hidden_size", 768);
  spec.layers = config.integerOr("num_hidden_layers", 12, {1, 10000});
  spec.attention.heads = config.integerOr("num_attention_heads", 12, {1, 65536});
  spec.intermediate = config.integerOr("intermediate_size", 3072);
  spec.activation = readActivation(config, "hidden_act", "gelu");
  spec.position_rows = config.integerOr("max_position_embeddings", 512);
  spec.types = config.integerOr("type_vocab_size", 2, {1, 1 << 20});
  spec.eps = config.positiveOr("layer_norm_eps", 1e-12);
  if (defaults.offset)
    spec.first_position = config.integerOr("pad_token_id", 1, {0, INT32_MAX}) + 1;
  if (config.stringOr("position_embedding_type", "absolute") != "absolute") {
    config.fail("position_embedding_type", "is not supported; absolute is");
  }
  return spec;
}

// Of BERT: behind the pooler.
Value classify(ModelBuilder& b, Value, Value pooled, int64_t labels) {
  return b.linear("classifier", pooled, labels, {.bias = true, .sum = true});
}

// Of RoBERTa: two layers on the first token.
Value classifyFirst(ModelBuilder& b, Value hidden, Value, int64_t labels) {
  Value x = b.pool("classifier", "first", hidden);
  x = b.linear("classifier.dense", x, ModelBuilder::columns(hidden), {.bias = true});
  x = b.activation("classifier.activation", "tanh", x);
  return b.linear("classifier.out_proj", x, labels, {.bias = true, .sum = true});
}

enum class Head { kNone, kText, kTokens };

template <const Defaults& kDefaults, Head kHead>
Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  EncoderSpec spec = readSpec(config, kDefaults);
  spec.bare = kHead == Head::kNone;
  spec.pooler = kHead == Head::kNone || (kHead == Head::kText && !kDefaults.offset);
  if (kHead == Head::kText) spec.head = kDefaults.offset ? classifyFirst : classify;
  if (kHead == Head::kTokens) classifyTokens(spec);
  return makeEncoder(std::move(spec), config);
}

std::span<const PlanRule> plan() {
  static constexpr PlanRule kPlan[] = {
      {"embeddings.word_embeddings", "embedding_rowwise"},
      {"encoder.layer.*.attention.self.query", "colwise"},
      {"encoder.layer.*.attention.self.key", "colwise"},
      {"encoder.layer.*.attention.self.value", "colwise"},
      {"encoder.layer.*.attention.output.dense", "rowwise"},
      {"encoder.layer.*.intermediate.dense", "colwise"},
      {"encoder.layer.*.output.dense", "rowwise"},
      {"pooler.dense", "colwise"},
      {"classifier.dense", "colwise"},
      {"classifier.out_proj", "rowwise"},
      {"classifier", "rowwise"},
  };
  return kPlan;
}

std::span<const PlanRule> tokensPlan() {
  static const std::vector<PlanRule> kPlan = planForTokens(plan());
  return kPlan;
}

}  // namespace

extern const Family kBert, kBertTokens, kBertModel, kRoberta, kRobertaTokens, kRobertaModel,
    kXlmRoberta, kXlmRobertaTokens, kXlmRobertaModel;

const Family kBert = {"bert", "BertForSequenceClassification", plan,
                      read<kBertDefaults, Head::kText>};
const Family kBertTokens = {"bert", "BertForTokenClassification", tokensPlan,
                            read<kBertDefaults, Head::kTokens>};
const Family kBertModel = {"bert", "BertModel", plan, read<kBertDefaults, Head::kNone>};
const Family kRoberta = {"roberta", "RobertaForSequenceClassification", plan,
                         read<kRobertaDefaults, Head::kText>};
const Family kRobertaTokens = {"roberta", "RobertaForTokenClassification", tokensPlan,
                               read<kRobertaDefaults, Head::kTokens>};
const Family kRobertaModel = {"roberta", "RobertaModel", plan, read<kRobertaDefaults, Head::kNone>};
const Family kXlmRoberta = {"xlm-roberta", "XLMRobertaForSequenceClassification", plan,
                            read<kRobertaDefaults, Head::kText>};
const Family kXlmRobertaTokens = {"xlm-roberta", "XLMRobertaForTokenClassification", tokensPlan,
                                  read<kRobertaDefaults, Head::kTokens>};
const Family kXlmRobertaModel = {"xlm-roberta", "XLMRobertaModel", plan,
                                 read<kRobertaDefaults, Head::kNone>};

}  // namespace dcc::huggingface
