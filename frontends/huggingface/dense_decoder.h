// The decoder that most families are: pre-norm residual blocks, grouped-query attention with rotary
// positions, a gated MLP, an untied or tied head. A family reads what is its own into the spec.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "frontends/huggingface/config.h"
#include "frontends/huggingface/family.h"

namespace dcc::huggingface {

struct DenseSpec {
  int64_t hidden = 0, intermediate = 0, layers = 0, vocabulary = 0;
  int64_t positions = 0;    // the model's own limit, tokens
  AttentionSpec attention;  // of every layer; windows apart
  // Tokens that layer i sees, itself included; 0 or a missing entry: all.
  std::vector<int64_t> windows;
  bool mlp_bias = false, tied = false;
  double eps = 0;
  std::string activation;
  Rope rope;
};

// What the families' config.json files share. Errors are the reader's.
DenseSpec readDense(const ConfigReader& config);

// Windows of the families that have both kinds of layers: layer_types or, without it, all layers
// from max_window_layers on, if use_sliding_window.
std::vector<int64_t> readWindows(const ConfigReader& config, int64_t layers);

// The spec as a model, its rotary frequencies read last; or the reader's first error.
Result<std::unique_ptr<Model>> makeDense(DenseSpec spec, const ConfigReader& config);

// transformers' own plan of these families, and the vocabulary cut on both ends: the table by rows,
// the head by columns, whose logits stay cut.
std::span<const PlanRule> densePlan();

}  // namespace dcc::huggingface
