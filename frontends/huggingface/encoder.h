// The encoder that families are: embeddings of tokens, positions and types, blocks of attention
// over the whole text and MLP, each followed by a norm of its sum with the residual, and a head.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/huggingface/config.h"
#include "frontends/huggingface/family.h"

namespace dcc::huggingface {

// What a checkpoint calls a layer's modules, behind "<base>.<layers>.3".
struct EncoderNames {
  const char* layers = "encoder.layer";
  const char* query = ".attention.self.query";
  const char* key = ".attention.self.key";
  const char* value = ".attention.self.value";
  const char* output = ".attention.output.dense";
  const char* attention_norm = ".attention.output.LayerNorm";
  const char* up = ".intermediate.dense";
  const char* down = ".output.dense";
  const char* norm = ".output.LayerNorm";
};

struct EncoderSpec {
  int64_t hidden = 0, intermediate = 0, layers = 0, vocabulary = 0;
  int64_t position_rows = 0;   // of the table of positions,
  int64_t first_position = 0;  // of which this is position 0's
  int64_t longest = 0;         // the model's own limit, tokens
  int64_t types = 0;           // of tokens; 0: none
  AttentionSpec attention;
  std::string activation;
  double eps = 1e-12;
  EncoderNames names;

  // The base model: where a model with a head has it ("bert"); a bare one may be stored either way.
  std::string base;
  bool bare = false;
  bool pooler = false;  // where the checkpoint has one
  int64_t labels = 0;   // of the head

  // The logits, of each text or of each token; none: there is no head. `pooled` is null without a
  // pooler.
  using Value = ModelBuilder::Value;
  std::function<Value(ModelBuilder& b, Value hidden, Value pooled, int64_t labels)> head;

  // One vector for a text, as sentence-transformers says in files beside the config.
  std::string pooling;  // "first", "mean", "": it says nothing
  bool normalizes = false;
};

// The labels, and what sentence-transformers says, read into the spec, and that as a model; or the
// reader's first error. It gives "hidden", the last layer's vectors of
// all tokens, and, of what it has, "pooled", "logits" and "embedding", of each text.
Result<std::unique_ptr<Model>> makeEncoder(EncoderSpec spec, const ConfigReader& config);

// A head that classifies every token.
void classifyTokens(EncoderSpec& spec);
// The plan of a model with that head, from the one for texts, whose last rule is the classifier's:
// it takes whole vectors, of which every rank multiplies its part.
std::vector<PlanRule> planForTokens(std::span<const PlanRule> plan);

}  // namespace dcc::huggingface
