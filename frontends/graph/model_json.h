// model.json: a model directory or a graph, and how to compile it, in a file. docs/model-json.md
// describes the format, docs/model.schema.json to editors.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/graph/document.h"
#include "frontends/huggingface/dummy_weights.h"
#include "frontends/strategy_spec.h"
#include "runtime/base/dtype.h"
#include "runtime/base/status.h"

namespace dcc::graph {

// One line of a plan: modules that match `pattern` are cut by `strategy`. Neither is checked here:
// that takes the model and the table of strategies.
struct TpRule {
  std::string pattern;                     // "model.layers.*.self_attn.q_proj"
  std::string strategy;                    // "colwise"
  std::string where;                       // "plan.json:3", for diagnostics
  std::optional<StrategySpec> definition;  // where the plan declares the strategy here
};

// What model.json says. What it leaves out is absent here; the command line's options override it.
struct ModelJson {
  std::string path;      // of model.json itself
  DocumentPtr document;  // its text
  // An existing directory: with a Hugging Face model or, of a graph, with its safetensors. What is
  // relative in the file is resolved against path's directory.
  std::string model;
  bool has_graph = false;  // under "graph" (graph.h)
  std::optional<huggingface::WeightSource> weights;
  std::optional<int64_t> tp, dp, cp, pp;       // mesh degrees, >= 1
  std::optional<std::vector<TpRule>> tp_plan;  // absent: "auto", the family's own
  std::optional<DType> dtype;                  // f32, bf16 or f16; absent: "auto", the checkpoint's
  std::optional<std::string> prompt;           // for drun without one
  std::optional<int64_t> max_tokens, max_seqs, max_seq_len;  // tokens, sequences, tokens; >= 1
};

// Errors (user) begin with "<path>:<line>: <key>: ". A key that is not known is one; the message
// names the nearest that is.
Result<ModelJson> readModelJson(const std::string& path);

// A plan file: a JSON object from pattern to strategy, in alphabetical order of patterns.
Result<std::vector<TpRule>> readTpPlan(const std::string& path);

// The keys that model.json and its "mesh" may have.
std::span<const std::string_view> modelJsonKeys();
std::span<const std::string_view> meshKeys();

}  // namespace dcc::graph
