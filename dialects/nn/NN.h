// The nn dialect: layers with named sizes, placements and factor rules.
#pragma once

#include "dialects/dist/Dist.h"
#include "mlir/IR/OpImplementation.h"

namespace dcc::nn {

/// The module path an op stands for: the name of its location, "" without one.
llvm::StringRef moduleOf(mlir::Operation* op);
llvm::StringRef moduleOf(mlir::Location loc);

/// Whether the module of `op` has invariant numerics: nn.numerics = "invariant", where "fast" is
/// the default.
bool isInvariant(mlir::Operation* op);

/// One dimension of a factor rule: `t`, or `(h d)` for h blocks of d. inner = 0 for a single
/// factor.
struct FactorDim {
  char outer = 0, inner = 0;
};

/// A parsed factor rule (dialects/nn/FactorRule.td).
struct FactorRule {
  std::vector<std::vector<FactorDim>> operands, results;
  std::string reduced, whole;
  std::vector<unsigned> linear;    // operands the result is jointly linear in
  char covering = 0, covered = 0;  // `h = g r`: covering h, covered g
  static FactorRule parse(llvm::StringRef text);
};

/// Checks that every factor of the op's rule has one size in all operands and results, and that
/// composite dimensions divide. Works on whole and on local shapes alike.
mlir::LogicalResult verifyFactors(mlir::Operation* op, mlir::SymbolTableCollection& symbols);

/// Whether attention that gives each of a rank's KV heads equally many of its query heads, in
/// order, pairs those that belong together: query head h reads KV head h / group.
bool pairsEvenly(llvm::ArrayRef<int64_t> kv, llvm::ArrayRef<int64_t> heads, int64_t group);
/// Whether one does that is told the first query head's place in its group: both are neighbours.
bool pairsInOrder(llvm::ArrayRef<int64_t> kv, llvm::ArrayRef<int64_t> heads, int64_t group);

/// `0.03125`: a float in the fewest digits that read back as the same number.
void printFloat(mlir::AsmPrinter& printer, float value);
void printFloat(mlir::AsmPrinter& printer, mlir::FloatAttr value);
mlir::ParseResult parseFloat(mlir::AsmParser& parser, mlir::FloatAttr& value);

/// `[1.0, 0.5623413]`: floats in the fewest digits that read back as the same number.
void printFloats(mlir::OpAsmPrinter& printer, mlir::Operation* op, mlir::DenseF32ArrayAttr values);
mlir::ParseResult parseFloats(mlir::OpAsmParser& parser, mlir::DenseF32ArrayAttr& values);

}  // namespace dcc::nn

#include "dialects/nn/FactorRule.h.inc"
#define GET_OP_CLASSES
#include "dialects/nn/NNOps.h.inc"
