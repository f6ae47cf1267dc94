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
  int64_t hidden = 0;  // columns of its result
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t v_dim = 0;  // columns of a head of v; 0: head_dim
  double scale = 0;
  bool bias = false, output_bias = false;  // of q, k, v; of o
  bool packed = false;                     // qkv_proj, whose rows are those of q, k and v
  std::string output = ".o_proj";          // the projection of the result
  // q_norm and k_norm, of every head: an rms_norm with one weight for all heads, or a layer_norm
  // with a weight for each. kAllRms: one rms_norm of all heads together.
  enum class HeadNorm { kNone, kRms, kLayer, kAllRms } head_norm = HeadNorm::kNone;
  double eps = 0;            // of the norms
  float norm_plus = 0;       // added to their weights
  bool rotates = true;       // by the positions, with
  bool interleaved = false;  // pairs of neighbours
  int64_t window = 0;        // last tokens that are seen, itself included; 0: all
  int64_t chunk = 0;         // only tokens of the same stretch of so many are seen; 0: all
  double softcap = 0;        // of the scores; 0: none
  bool sinks = false;        // module.sinks: a score per head that has no value,
  std::string sinks_tensor;  // or another tensor's
  bool whole = false;        // no cache: tokens see all of their sequence

  int64_t valueDim() const { return v_dim ? v_dim : head_dim; }
  // With the usual scale.
  void setHeadDim(int64_t size);
};

// A tensor of the checkpoint as a weight sees it.
struct TensorView {
  std::string tensor;
  std::vector<int64_t> stored;        // its shape in the checkpoint
  std::vector<int64_t> shape = {};    // as it is seen; empty: as it is stored
  std::vector<int64_t> strides = {};  // elements, one per dimension of shape
  int64_t first = 0;                  // the element where it begins
};

struct WeightSpec {
  std::string name;  // of the symbol
  std::vector<int64_t> shape;
  // Stacked along the first dimension; none: the tensor of this name and shape.
  std::vector<TensorView> views = {};
  std::optional<int64_t> heads = {};  // its first dimension runs over that many heads
  bool shared = false;                // which several ranks may hold
  float plus = 0;                     // added to every element
  bool vector = false;                // f32 in memory, as all of one dimension are
};

// Router scores to gates (nn.route).
struct RouteSpec {
  int64_t k = 0;
  std::string scores = "softmax";
  bool normalize = false;
  double scale = 1;
  int64_t groups = 0, live = 0, best = 0;  // 0: no groups
  std::string bias = {};                   // the tensor that is added for the choice
};

// Experts of one layer (nn.experts): every list one tensor [experts, ...] or one for each expert.
struct ExpertsSpec {
  int64_t experts = 0, width = 0;
  std::string function = "silu";
  double limit = 0, alpha = 0;  // limit 0: none
  bool scaled_inputs = false;
  std::vector<TensorView> gate, up;                      // [experts, width, hidden]
  std::vector<TensorView> down;                          // [experts, hidden, width]
  std::vector<TensorView> gate_bias = {}, up_bias = {};  // [experts, width]
  std::vector<TensorView> down_bias = {};                // [hidden, experts]
};

// A result of an entry, by the name that it has in the plan.
struct NamedValue {
  std::string name;
  mlir::Value value;
};

// Builds the entries of a model. The first error is kept and later calls do nothing useful, so that
// a family reads as a list of layers; the importer asks status() at the end.
class ModelBuilder {
 public:
  using Value = mlir::Value;

  ModelBuilder(mlir::ModuleOp module, TensorSource& tensors, DType compute);

  // ---- entries ----------------------------------------------------------------------------------
  // Opens an entry: its arguments are tokens, positions and, with `types`, the tokens' types. B and
  // T are bounded by `seqs`, `tokens`. With `last_only` the entry gives the result of each
  // sequence's last token only.
  struct EntrySpec {
    std::string_view name;
    int64_t tokens = 0, seqs = 0;
    bool last_only = false, types = false;
  };
  void beginEntry(const EntrySpec& spec);
  void endEntry(const std::vector<NamedValue>& results);
  Value tokens() { return entry_.getArgument(0); }
  Value positions() { return entry_.getArgument(1); }
  Value types() { return entry_.getArgument(2); }
  bool lastOnly() const { return last_only_; }

  // Checkpoints of older versions: a tensor that is not there by its name is read by the name in
  // which `before` stands for `now`.
  void alsoNamed(std::string now, std::string before) {
    older_names_.emplace_back(std::move(now), std::move(before));
  }

  // ---- layers: `module` is the transformers path, whose parameters are module.weight, module.bias
  // -- unless `weight` names another tensor of the checkpoint (tied weights).
  Value embedding(const std::string& module, Value tokens, int64_t vocabulary, int64_t hidden,
                  const std::string& weight = {});
  // A learned row for every position; position 0's is row `first` of the table's `rows`.
  Value positionEmbedding(const std::string& module, int64_t rows, int64_t first, int64_t hidden);
  // heads: the output runs over that many heads; shared: ranks may hold the same head.
  struct LinearOptions {
    bool bias = false;
    // The output is f32 whatever the activations are: it is summed over ranks, added to the
    // residual or read as logits.
    bool sum = false;
    std::optional<int64_t> heads = {};
    bool shared = false;
    std::string weight = {}, bias_tensor = {};
    std::vector<TensorView> views = {};  // of the weight, where it is not one tensor
  };
  Value linear(const std::string& module, Value x, int64_t out, const LinearOptions& options);
  Value linear(const std::string& module, Value x, int64_t out) {
    return linear(module, x, out, {});
  }
  // `plus` is added to the weight.
  Value rmsNorm(const std::string& module, Value x, double eps, const std::string& weight = {},
                float plus = 0);
  Value layerNorm(const std::string& module, Value x, double eps, bool bias, float plus = 0);
  // Of tensors with other names; bias empty: none.
  Value layerNorm(const std::string& module, Value x, double eps, const std::string& weight,
                  const std::string& bias, float plus = 0);
  // An rms_norm of every head, one weight [head_dim] for all.
  Value headNorm(const std::string& module, Value x, int64_t head_dim, double eps,
                 const std::string& weight = {}, float plus = 0);
  // An rms_norm of every head without a weight.
  Value unitNorm(const std::string& module, Value x, int64_t head_dim, double eps);
  // A layer_norm of every head, its weight [heads, head_dim]; shared: ranks may hold the same head.
  Value headLayerNorm(const std::string& module, Value x, int64_t head_dim, double eps,
                      bool shared);
  // Every head turned by the positions, its columns from `first` on as many as the frequencies
  // turn; pairs are neighbours if `interleaved`, else half a turn apart.
  Value rope(const std::string& module, Value x, std::string_view frequencies, int64_t head_dim,
             bool interleaved = false, int64_t first = 0);
  // Columns [first, first + size) of every head; y behind every head of x.
  Value sliceHeads(const std::string& module, Value x, int64_t head_dim, int64_t first,
                   int64_t size);
  Value extendHeads(const std::string& module, Value x, Value y, int64_t head_dim);
  // x times 1 + scale * log(1 + floor((position + 1) / floor))
  Value temperature(const std::string& module, Value x, double scale, int64_t floor);
  // Attention over the cache module.cache, or over whole sequences; of `spec` without its
  // projections and norms.
  Value attend(const std::string& module, Value q, Value k, Value v, const AttentionSpec& spec);
  // Norms of heads, rotation, attention over the cache, output projection to spec.hidden columns.
  Value attention(const std::string& module, Value q, Value k, Value v, const AttentionSpec& spec,
                  std::string_view frequencies);
  // q, k and v projections first, attention over the cache, output projection.
  Value attention(const std::string& module, Value x, const AttentionSpec& spec,
                  std::string_view frequencies);
  // down(f(gate(x)) * up(x)); packed: gate_up_proj has the rows of both.
  Value gatedMlp(const std::string& module, Value x, int64_t intermediate,
                 std::string_view function, bool bias, bool packed = false);
  // down(f(up(x))), whose projections have the names given
  Value mlp(const std::string& module, Value x, int64_t intermediate, std::string_view function,
            bool bias, const char* up = ".fc1", const char* down = ".fc2");
  Value route(const std::string& module, Value logits, const RouteSpec& spec);
  Value experts(const std::string& module, Value x, Value gates, const ExpertsSpec& spec);
  Value activation(const std::string& module, std::string_view function, Value x);
  Value gatedActivation(const std::string& module, std::string_view function, Value gate, Value up);
  Value add(const std::string& module, Value x, Value y);
  // In f32 whatever the activations are, as a sum to be added to the residual is.
  Value addSums(const std::string& module, Value x, Value y);
  Value mul(const std::string& module, Value x, Value y);
  Value scale(const std::string& module, Value x, double factor);
  // Every row times its number of factors [rows, 1].
  Value scaleRows(const std::string& module, Value x, Value factors);
  Value softCap(const std::string& module, Value x, double cap);
  // Blocks of columns, one after the other.
  std::vector<Value> split(const std::string& module, Value x, const std::vector<int64_t>& sizes);
  // A row for each sequence: "first", its first token's, or "mean", that of its tokens.
  Value pool(const std::string& module, std::string_view how, Value x);
  // The result of an op just made, as f32 whatever the activations are: it is read as it is.
  Value inF32(Value x);
  // Every row divided by its length.
  Value normalize(const std::string& module, Value x);
  // Of an entry that gives last tokens only their rows; of others x.
  Value lastToken(Value x);

  // Declares rotary frequencies under `name`, once.
  void frequencies(std::string_view name, const Rope& rope);

  const Status& status() const { return status_; }

  // Whether the checkpoint has a tensor of this name, where names have changed over time.
  bool has(std::string_view tensor) const { return tensors_.has(tensor); }

  // Of a [rows, columns] value.
  static int64_t columns(Value x);

 private:
  mlir::Location at(const std::string& module);
  // Declares the weight once, by its checkpoint name, and refers to it.
  mlir::FlatSymbolRefAttr weight(const WeightSpec& spec);
  mlir::FlatSymbolRefAttr weight(const std::string& tensor, std::vector<int64_t> shape) {
    return weight({.name = tensor, .shape = std::move(shape)});
  }
  nn::SourceAttr source(const TensorView& view);
  // Its name in the checkpoint.
  std::string inCheckpoint(const std::string& tensor) const;
  mlir::IntegerAttr positive(int64_t value);
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
  std::vector<std::pair<std::string, std::string>> older_names_;
  llvm::StringMap<mlir::Operation*> symbols_;
  Status status_;
};

}  // namespace dcc::huggingface
