// The ops that a graph may name: the table, and what the function of an op reads and checks with.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/graph/graph.h"
#include "frontends/huggingface/checkpoint.h"
#include "frontends/huggingface/model_builder.h"

namespace dcc::graph {

// Every op of the language. Adding one is a row here and its function.
const std::vector<OpKind>& opKinds();

// Rotary frequencies, made by one op and read by others.
struct Frequencies {
  std::string symbol;
  int64_t rotary_dim = 0;  // columns of a head that turn
};

// What a value of the graph is in the entry that is being built.
struct Built {
  mlir::Value tensor;  // null: frequencies
  Frequencies frequencies = {};
};

// How a linear's columns run over heads, as the attention that reads them says.
struct Heads {
  int64_t head_dim = 0;
  bool shared = false;  // of k and v: several ranks may hold the same head
};

// What the ops of one graph share while its entries are built.
struct Building {
  const Graph& graph;
  const huggingface::Checkpoint* checkpoint;  // null: dummy weights
  std::string directory;                      // of the checkpoint, for messages
  std::map<size_t, Heads> heads;              // by step, of linears
  // Names in the module: of tensors their shape, of the others nothing.
  std::map<std::string, std::vector<int64_t>> symbols;
};

// One op as its function sees it. Errors (user) name line and key.
class OpCall {
 public:
  OpCall(huggingface::ModelBuilder& builder, Building& building, std::vector<Built>& values,
         size_t step);

  huggingface::ModelBuilder& builder;
  const std::string& module() const { return step_.module; }

  // ---- what it reads

  // Input i, [rows, columns].
  Result<mlir::Value> tensor(size_t i) const;
  // The same, of all tokens of the step; not behind a last_token.
  Result<mlir::Value> tokenRows(size_t i) const;
  Result<Frequencies> frequencies(size_t i) const;
  mlir::Value ids() const { return builder.tokens(); }
  // Input i is the step's tokens.
  Status checkIds(size_t i) const;
  // Both have the same shape.
  Status checkSame(mlir::Value x, mlir::Value y) const;
  // The columns of input i are heads of head_dim.
  Status checkHeads(size_t i, mlir::Value x, int64_t head_dim) const;

  // ---- keys: integers from 1, numbers above 0

  bool has(std::string_view key) const { return at(key).has(key); }
  Result<int64_t> integer(std::string_view key) const;
  Result<double> positive(std::string_view key) const;
  Result<bool> flag(std::string_view key) const;
  Result<std::string> activation(std::string_view key) const;
  Result<std::vector<int64_t>> sizes(std::string_view key) const;
  JsonFields at(std::string_view key) const { return document_.at(*step_.object, key); }
  const Document& document() const { return document_; }

  // ---- weights

  struct Weight {
    std::string tensor;
    std::vector<int64_t> shape;
  };
  // The tensor that `key` names, otherwise <module>.<key>. It must have this shape and a type dcc
  // computes with. A size that is left open is the columns of the result: as the op's "shape"
  // states or, without it, as the checkpoint has them.
  Result<Weight> weight(std::string_view key, std::vector<std::optional<int64_t>> shape) const;
  // A symbol of the op's own; nobody else has the name.
  Status claim(const std::string& symbol) const;

  // ---- around it

  // The result is added to another or is the logits, so that it is summed in f32.
  bool summed() const;
  // How the columns of a linear run over heads, where attention reads them.
  std::optional<Heads> heads() const;
  const Graph& graph() const { return building_.graph; }

  // ---- results: as many as the op gives, of the shape that it may state

  Status gives(mlir::Value result) const;
  Status gives(const std::vector<mlir::Value>& results) const;
  Status gives(Frequencies result) const;

 private:
  Error inputError(size_t i, std::string_view what) const;
  // Of the op's "shape", if it has one.
  Result<std::optional<int64_t>> statedColumns() const;
  Status checkShape(mlir::Value result) const;

  Building& building_;
  const Document& document_;
  const Step& step_;
  std::vector<Built>& values_;
};

// "[T, 256]"
std::string shapeText(mlir::Value value);

}  // namespace dcc::graph
