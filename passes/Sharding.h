// What placements an op's results have, given its operands' and weights': the factor rules at work.
#pragma once

#include <string>

#include "dialects/nn/NN.h"
#include "mlir/IR/SymbolTable.h"

namespace dcc {

/// The outcome of propagating placements through one op.
struct Placements {
  enum Kind { kOk, kPartialOperand, kConflict } kind = kOk;
  llvm::SmallVector<dist::PlacementAttr> results;  // kOk: one per result
  unsigned operand = 0;                            // kPartialOperand: the one to be summed first
  std::string message;  // kConflict: what is wrong and what would be right
};

Placements inferPlacements(nn::FactorRuleInterface op, mlir::SymbolTableCollection& symbols);

/// The type of a rank's own tokens, where those of a whole value are cut over the axis.
nn::TensorType cutByTokens(nn::TensorType whole, mlir::StringAttr axis);

/// The rule that made a value what it is ("model.layers.*.mlp.up_proj = colwise (auto)"), found by
/// walking back to the first op whose weight has one; "" when there is none.
std::string ruleBehind(mlir::Value value, mlir::SymbolTableCollection& symbols);

}  // namespace dcc
