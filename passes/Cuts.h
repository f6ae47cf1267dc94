// Which indices of a weight's dimension each rank has: as many as it goes for each, heads kept
// whole and with the KV heads that they read.
#pragma once

#include <optional>

#include "dialects/nn/NN.h"

namespace dcc {

/// How a value takes part in attention.
struct HeadsOf {
  nn::AttentionOp attention;
  bool keys = false;  // its heads are KV heads

  explicit operator bool() { return bool(attention); }
  int64_t queries();  // query heads
  int64_t group();    // of them share a KV head
  int64_t columns();  // of attention's result
};

/// Behind biases, norms and rotation; none when the value goes elsewhere.
HeadsOf headsOf(mlir::Value value);

/// Part `rank` of `units`, as evenly as it goes: the first ranks have one more.
dist::Range share(int64_t units, int64_t rank, int64_t ranks);

/// What is to be cut of a weight.
struct CutRequest {
  int dimension = 0;
  bool packed = false;    // it is several blocks, each of which is cut
  bool by_heads = false;  // its heads stay whole
};

/// The cut of a weight that `op` uses, over `ranks` coordinates of an axis: what an output
/// projection takes from attention is cut as the heads are, by columns where there are more ranks
/// than heads. Nothing when there is less to cut than ranks.
std::optional<dist::CutAttr> cutFor(mlir::StringAttr axis, int64_t ranks,
                                    nn::FactorRuleInterface op, nn::WeightOp weight,
                                    const CutRequest& request);

}  // namespace dcc
