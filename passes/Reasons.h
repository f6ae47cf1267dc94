// Why collectives are there, when one takes over from another.
#pragma once

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

namespace dcc {

// "a; b"; each reason once.
inline mlir::StringAttr joinReasons(mlir::StringAttr a, mlir::StringAttr b) {
  llvm::SmallVector<llvm::StringRef> known;
  a.getValue().split(known, "; ");
  std::string text = a.getValue().str();
  llvm::SmallVector<llvm::StringRef> more;
  b.getValue().split(more, "; ");
  for (llvm::StringRef reason : more) {
    if (!llvm::is_contained(known, reason)) text += "; " + reason.str();
  }
  return mlir::StringAttr::get(a.getContext(), text);
}

inline mlir::StringAttr reasonOf(mlir::Operation* op) {
  return op->getAttrOfType<mlir::StringAttr>("because");
}

// `op` is there for the reasons of `other` as well.
inline void addReason(mlir::Operation* op, mlir::Operation* other) {
  op->setAttr("because", joinReasons(reasonOf(op), reasonOf(other)));
}

}  // namespace dcc
