// Strategies of one's own in C++: the counterpart of transformers'
// ParallelInterface.register_strategy with partition_tensor, _prepare_input_fn and
// _prepare_output_fn. Nothing of MLIR is in here; a library needs this header and a C++20 compiler:
//
//   class MyColwise : public dcc::plugin::Strategy {
//     std::optional<Partition> partitionTensor(const Tensor& tensor) const override { ... }
//     Layout inputLayout() const override { return Layout::kWhole; }
//     Layout outputLayout() const override { return Layout::kFeatures; }
//   };
//   DCC_STRATEGIES(registry) { registry.add("colwise_custom", std::make_unique<MyColwise>()); }
//
//   g++ -std=c++20 -shared -fPIC -I <checkout of dcc>/include my_strategies.cpp -o my_strategies.so
//   dcc compile model --tp 4 --load-strategies ./my_strategies.so --tp-rule PATTERN=colwise_custom
//
// dcc checks what a strategy says like any other: a cut that does not hold all of a tensor, or does
// not fit the model, is an error at compile time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dcc::plugin {

// Raised when a library must be built again.
inline constexpr int kVersion = 1;

// A tensor of the checkpoint.
struct Tensor {
  std::string_view module;     // "model.layers.3.mlp.up_proj"
  std::string_view parameter;  // "weight" or "bias"
  // A linear's weight is [out, in], an embedding's [vocabulary, features], others are vectors.
  std::vector<int64_t> shape;
  int ranks = 1;  // along the axis that is cut, at least 2
};

// Half-open.
struct Range {
  int64_t begin = 0, end = 0;
};

// What every rank has of a dimension: its ranges, one after the other in its part of the tensor.
// They may differ in length and overlap; together the ranks hold every index.
struct Partition {
  int dimension = 0;
  std::vector<std::vector<Range>> ranks;
};

// Where a value [tokens, features] lies.
enum class Layout {
  kAny = 0,       // as it comes
  kWhole = 1,     // on every rank: transformers' Replicate
  kFeatures = 2,  // cut along the features: Shard(-1)
  kTokens = 3,    // cut along the tokens: Shard(0)
};

class Strategy {
 public:
  virtual ~Strategy() = default;

  // partition_tensor, but for the data, which nobody reads at compile time. Nothing: whole on every
  // rank. Called for each tensor of each module that a rule gives this strategy.
  virtual std::optional<Partition> partitionTensor(const Tensor& tensor) const = 0;

  // _prepare_input_fn: what must arrive, and what it is brought to; kAny asks nothing.
  virtual Layout inputLayout() const { return Layout::kAny; }
  virtual Layout desiredInputLayout() const { return inputLayout(); }
  // _prepare_output_fn: what the output is brought to; kAny: what follows from the above (a
  // partial sum is summed before its first non-linear use).
  virtual Layout outputLayout() const { return Layout::kAny; }
};

class Registry {
 public:
  virtual ~Registry() = default;
  // A name that is taken is an error of the loading.
  virtual void add(const std::string& name, std::unique_ptr<Strategy> strategy) = 0;
};

}  // namespace dcc::plugin

// What dcc looks for in a library.
extern "C" {
int dccStrategiesVersion();
void dccRegisterStrategies(dcc::plugin::Registry& registry);
}

#define DCC_STRATEGIES(registry)                                          \
  extern "C" int dccStrategiesVersion() { return dcc::plugin::kVersion; } \
  extern "C" void dccRegisterStrategies(dcc::plugin::Registry&(registry))
