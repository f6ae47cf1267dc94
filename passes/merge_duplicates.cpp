// merge-duplicates: the same collective of the same value is done once.
//
// Several layers may each have asked for it (q, k and v of a sliced input); the one that stays
// names all their reasons.
#include "passes/Passes.h"
#include "passes/Reasons.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_MERGEDUPLICATES
#include "passes/Passes.h.inc"

namespace {

bool isExchange(Operation* op) {
  return isa<dist::AllReduceOp, dist::AllGatherOp, dist::ReduceScatterOp, dist::SliceOp>(op);
}

// Whether two ops do the same, whatever their reasons.
bool same(Operation* a, Operation* b) {
  auto what = [](Operation* op) {
    NamedAttrList attrs(op->getAttrDictionary());
    attrs.erase("because");
    return attrs.getDictionary(op->getContext());
  };
  return a->getName() == b->getName() && a->getResultTypes() == b->getResultTypes() &&
         what(a) == what(b);
}

struct MergeDuplicates : impl::MergeDuplicatesBase<MergeDuplicates> {
  void runOnOperation() override {
    for (auto entry : getOperation().getOps<func::FuncOp>()) {
      for (Operation& op : llvm::make_early_inc_range(entry.getBody().front())) {
        if (isExchange(&op)) mergeIntoEarlier(&op);
      }
    }
  }

  static void mergeIntoEarlier(Operation* op) {
    for (Operation* other : op->getOperand(0).getUsers()) {
      if (other == op || !other->isBeforeInBlock(op) || !same(other, op)) continue;
      addReason(other, op);
      op->replaceAllUsesWith(other);
      op->erase();
      return;
    }
  }
};

}  // namespace
}  // namespace dcc
