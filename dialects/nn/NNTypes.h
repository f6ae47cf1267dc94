// The tensor type and the attributes of the nn dialect.
#pragma once

#include "dialects/dist/DistAttrs.h"
#include "mlir/IR/BuiltinTypes.h"

#include "dialects/nn/NNBaseDialect.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/nn/NNBaseTypes.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/nn/NNBaseAttrs.h.inc"

namespace dcc::nn {

/// IntegerAttr of a constant size.
mlir::Attribute sizeAttr(mlir::MLIRContext* context, int64_t size);
/// The name of what one coordinate of an axis has of a named size: T over tp is T_tp.
mlir::StringAttr partOf(mlir::StringAttr size, mlir::StringAttr axis);
/// The inverse: size and axis; the axis is empty for a size of its own.
std::pair<llvm::StringRef, llvm::StringRef> wholeOf(llvm::StringRef size);
/// Prints and parses one dimension: an integer or a name.
void printSize(mlir::AsmPrinter& printer, mlir::Attribute size);
mlir::ParseResult parseSize(mlir::AsmParser& parser, mlir::Attribute& size);

}  // namespace dcc::nn
