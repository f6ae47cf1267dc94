// Meshes and placements, and the arithmetic of cuts. The ops are in Dist.h.
#pragma once

#include <optional>

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/dist/DistBaseDialect.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/dist/DistBaseAttrs.h.inc"

namespace dcc::dist {

/// Half-open range of indices.
struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};
using Ranges = llvm::SmallVector<Range, 2>;

/// What each coordinate of an axis holds of a dimension, one entry per coordinate.
using CutRanges = llvm::SmallVector<Ranges>;

/// The mesh of the module that holds `op`; a mesh without axes when it has none.
MeshAttr meshOf(mlir::Operation* op);

/// How many of `n` tokens coordinate `i` of `ranks` holds where tokens are cut: the first n % ranks
/// coordinates hold one more than the others.
int64_t tokensOf(int64_t n, int64_t i, int64_t ranks);

/// The ranges of a cut of a dimension of `size` indices over an axis of `ranks` coordinates. The
/// cut was verified: an even one divides.
CutRanges rangesOf(CutAttr cut, int64_t size, int64_t ranks);
/// The cut that has these ranges, written evenly where it is even.
CutAttr cutOf(mlir::StringAttr axis, llvm::ArrayRef<Ranges> ranges, int64_t size);
/// Where the ranges are within what holds `all`; nothing when they are not all there.
std::optional<Ranges> within(const Ranges& part, const Ranges& all);
/// Total length.
int64_t sizeOf(const Ranges& ranges);
/// The cut of dimensions stacked one after the other, of which each has one; nothing when they
/// can't be stacked (one whole and one cut, or over different axes).
std::optional<CutAttr> stack(llvm::ArrayRef<CutAttr> cuts, llvm::ArrayRef<int64_t> sizes,
                             MeshAttr mesh);

/// The inverse of stack: what each of the dimensions has of a cut of them all; nothing when some
/// coordinate holds no part of one.
std::optional<llvm::SmallVector<CutAttr>> unstack(CutAttr cut, llvm::ArrayRef<int64_t> sizes,
                                                  MeshAttr mesh);

/// Checks a cut against the mesh and the dimension's size; the message is what is wrong, empty if
/// nothing is. `size` is nothing for a dimension known only at run time, which is cut evenly.
std::string checkCut(CutAttr cut, std::optional<int64_t> size, MeshAttr mesh);

/// A placement, or null where it says nothing (no cut and no partial sum).
PlacementAttr placement(mlir::MLIRContext* context, llvm::ArrayRef<CutAttr> cuts,
                        llvm::ArrayRef<mlir::StringAttr> partial = {});
/// "whole on every rank", "[_, tp]", "partial tp".
std::string describe(PlacementAttr placement);

}  // namespace dcc::dist
