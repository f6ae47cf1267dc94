// What models build their layers with: one place that knows how a transformers module becomes nn
// ops. A family (families/*.cpp) reads its config and says which layers follow each other; a graph
// (frontends/graph) names them one by one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dialects/nn/NN.h"
#include "frontends/huggingface/checkpoint.h"
#include "frontends/huggingface/rope.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace dcc::huggingface {

// Bounds of a compilation (design, section 5).
struct Limits {
  int64_t max_tokens = 0, max_seqs = 0, max_seq_len = 0;
};

// One attention layer; sizes count columns.
struct AttentionSpec {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double scale = 0;
  bool bias = false, output_bias = false;  // of q, k, v; of o
  bool head_norm = false;                  // q_norm and k_norm, an rms_norm of every head
  double eps = 0;                          // of head_norm
  int64_t window = 0;                      // last tokens that are seen, itself included; 0: all

  // With the usual scale.
  void setHeadDim(int64_t size);
};

// Builds the entries of a model. The first error is kept and later calls do nothing useful, so that
// a family reads as a list of layers; the importer asks status() at the end.
class ModelBuilder {
 public:
  using Value = mlir::Value;

  ModelBuilder(mlir::ModuleOp module, TensorSource& tensors, DType compute);

  // ---- entries ----------------------------------------------------------------------------------
  // Opens an entry: its arguments are tokens and positions. B and T are bounded by `seqs`,
  // `tokens`. With `last_only` the entry gives the result of each sequence's last token only.
  void beginEntry(std::string_view name, int64_t tokens, int64_t seqs, bool last_only);
  void endEntry(Value result);
  Value tokens() { return entry_.getArgument(0); }
  Value positions() { return entry_.getArgument(1); }
  bool lastOnly() const { return last_only_; }

  // ---- layers: `module` is the transformers path, whose parameters are module.weight, module.bias
  // -- unless `weight` names another tensor of the checkpoint (tied weights).
  Value embedding(const std::string& module, Value tokens, int64_t vocabulary, int64_t hidden,
                  const std::string& weight = {});
  // heads: the output runs over that many heads; shared: ranks may hold the same head.
  struct LinearOptions {
    bool bias = false;
    // The output is f32 whatever the activations are: it is summed over ranks, added to the
    // residual or read as logits.
    bool sum = false;
    std::optional<int64_t> heads = {};
    bool shared = false;
    std::string weight = {}, bias_tensor = {};
  };
  Value linear(const std::string& module, Value x, int64_t out, LinearOptions options);
  Value linear(const std::string& module, Value x, int64_t out) {
    return linear(module, x, out, {});
  }
  Value rmsNorm(const std::string& module, Value x, double eps, const std::string& weight = {});
  // An rms_norm of every head, one weight [head_dim] for all.
  Value headNorm(const std::string& module, Value x, int64_t head_dim, double eps,
                 const std::string& weight = {});
  // Every head turned by the positions; pairs are neighbours if `interleaved`, else half a turn
  // apart.
  Value rope(const std::string& module, Value x, std::string_view frequencies, int64_t head_dim,
             bool interleaved = false);
  // Attention over the cache module.cache; of `spec` without its projections and norms.
  Value attend(const std::string& module, Value q, Value k, Value v, const AttentionSpec& spec);
  // q, k and v projections, rotation, attention over the cache, output projection.
  Value attention(const std::string& module, Value x, const AttentionSpec& spec,
                  std::string_view frequencies);
  // down(f(gate(x)) * up(x))
  Value gatedMlp(const std::string& module, Value x, int64_t intermediate,
                 std::string_view function, bool bias);
  Value activation(const std::string& module, std::string_view function, Value x);
  Value gatedActivation(const std::string& module, std::string_view function, Value gate, Value up);
  Value add(const std::string& module, Value x, Value y);
  Value mul(const std::string& module, Value x, Value y);
  // Blocks of columns, one after the other.
  std::vector<Value> split(const std::string& module, Value x, const std::vector<int64_t>& sizes);
  // Of an entry that gives last tokens only their rows; of others x.
  Value lastToken(Value x);

  // Declares rotary frequencies under `name`, once.
  void frequencies(std::string_view name, const Rope& rope);

  const Status& status() const { return status_; }

  // Of a [rows, columns] value.
  static int64_t columns(Value x);

 private:
  mlir::Location at(const std::string& module);
  // Declares the weight once, by its checkpoint name, and refers to it.
  mlir::FlatSymbolRefAttr weight(const std::string& tensor, std::vector<int64_t> shape,
                                 std::optional<int64_t> heads = {}, bool shared = false);
  mlir::FlatSymbolRefAttr cache(const std::string& name, const AttentionSpec& spec);
  nn::TensorType like(Value x, int64_t columns, mlir::Type type);
  mlir::Type f32() { return builder_.getF32Type(); }

  TensorSource& tensors_;
  mlir::OpBuilder builder_;        // inside the entry
  mlir::OpBuilder symbolBuilder_;  // weights, caches: before the entries
  mlir::ModuleOp module_;
  mlir::Type compute_;  // of activations and caches
  mlir::func::FuncOp entry_;
  bool last_only_ = false;
  llvm::StringMap<mlir::Operation*> symbols_;
  Status status_;
};

}  // namespace dcc::huggingface
