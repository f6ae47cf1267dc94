// A model written as ops: the "graph" of a model.json (docs/model-json.md), its repeats written out
// and its results wired. Shapes and attributes are the ops' own matter (ops.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/graph/document.h"
#include "runtime/base/status.h"

namespace dcc::graph {

// Of a result: so that sums of the sizes of all results stay far from 64 bits.
constexpr int64_t kMostColumns = 1 << 24;

class OpCall;

// One op of the language: a row of the table in ops.cpp.
struct OpKind {
  std::string_view name;
  std::vector<std::string_view> inputs;  // what it reads; the names are for messages
  std::vector<std::string_view> keys;    // beside op, module, inputs, output(s) and shape
  Status (*build)(OpCall& call);
  // Column i of its result comes of column i of its inputs, so that heads stay heads.
  bool keeps_columns = false;
  bool several = false;  // it gives "outputs", not one "output"
};

// What the indices of the repeats around an op are: {"i", 3}.
using Indices = std::map<std::string, int64_t, std::less<>>;

// A name is letters, digits and _ . - /, at most so many.
constexpr size_t kLongestName = 256;

// The name that is `text` with "{i}", "{i+1}", "{2*i}" or "{2*i+1}" replaced by numbers. Error:
// what is wrong and what would be right, without a place.
Result<std::string> expandName(std::string_view text, const Indices& indices);

// One op of the graph written out.
struct Step {
  const OpKind* kind;
  const nlohmann::json* object;  // where it stands in the document
  std::shared_ptr<const Indices> indices;
  std::string module = {};  // "model.layers.3.self_attn.q_proj"
  std::vector<std::string> input_names = {}, output_names = {};
  std::vector<size_t> inputs = {}, outputs = {};  // indices into Graph::values
};

// A result, or the step's tokens.
struct GraphValue {
  std::string name;             // of the tokens "tokens"
  size_t step = 0;              // that gives it
  std::vector<size_t> readers;  // steps
};

struct Graph {
  DocumentPtr document;
  const nlohmann::json* object;         // the value of "graph"
  int64_t vocab_size = 0;               // columns of the result
  int64_t max_position_embeddings = 0;  // tokens: the model's own limit
  std::vector<std::string> unused;      // patterns of tensors that no op reads
  std::vector<GraphValue> values;       // values[kTokens] first
  std::vector<Step> steps;              // in the order in which they run
  static constexpr size_t kTokens = 0;  // [T] ids
  size_t result() const { return steps.back().outputs.front(); }  // logits
};

// The graph of a document that has one. Errors (user) begin with "<path>:<line>: <key>: ": unknown
// ops and keys with the nearest that is known, repeats that don't end or give too much, names that
// are read before they are given, given again unread, or never read.
Result<Graph> readGraph(DocumentPtr document, const std::vector<OpKind>& kinds);

// Part of it: finds the values that the steps' names mean.
Status wire(Graph& graph);

// The keys of the objects in a graph.
std::span<const std::string_view> graphKeys();
std::span<const std::string_view> groupKeys();
std::span<const std::string_view> commonOpKeys(const OpKind& kind);

}  // namespace dcc::graph
