// cancel-gathers: what is gathered and cut again, or summed whole and then cut, takes the short
// way.
//
// | before | after |
// | --- | --- |
// | slice(all_gather(x)), cut as x is | x |
// | all_gather(slice(x)) | x |
// | slice(all_reduce(p)), nobody else reads the sum | reduce_scatter(p) |
// | all_gather(reduce_scatter(p)), nobody else reads the part | all_reduce(p) |
#include "passes/Passes.h"
#include "passes/Reasons.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_CANCELGATHERS
#include "passes/Passes.h.inc"

namespace {

struct CancelGathers : impl::CancelGathersBase<CancelGathers> {
  void runOnOperation() override {
    for (auto entry : getOperation().getOps<func::FuncOp>()) {
      // A shorter way may be part of one shorter still.
      for (bool changed = true; changed;) {
        changed = false;
        for (Operation& op : llvm::make_early_inc_range(entry.getBody().front())) {
          if (auto slice = dyn_cast<dist::SliceOp>(op))
            changed |= visit(slice);
          else if (auto gather = dyn_cast<dist::AllGatherOp>(op))
            changed |= visit(gather);
        }
      }
    }
  }

  static bool visit(dist::SliceOp op) {
    if (auto gather = op.getX().getDefiningOp<dist::AllGatherOp>()) {
      if (gather.getX().getType() != op.getType()) return false;
      replace(op, gather.getX(), gather);
      return true;
    }
    auto reduce = op.getX().getDefiningOp<dist::AllReduceOp>();
    if (!reduce || !reduce->hasOneUse() || reduce.getAxis() != op.getAxis()) return false;
    OpBuilder builder(op);
    auto scatter = builder.create<dist::ReduceScatterOp>(
        reduce.getLoc(), op.getType(), reduce.getX(), op.getDimension(), op.getAxis(), nullptr,
        joinReasons(reduce.getBecauseAttr(), op.getBecauseAttr()));
    replace(op, scatter.getResult(), reduce);
    return true;
  }

  static bool visit(dist::AllGatherOp op) {
    if (auto slice = op.getX().getDefiningOp<dist::SliceOp>()) {
      if (slice.getX().getType() != op.getType()) return false;
      replace(op, slice.getX(), slice);
      return true;
    }
    auto scatter = op.getX().getDefiningOp<dist::ReduceScatterOp>();
    if (!scatter || !scatter->hasOneUse() || scatter.getAxis() != op.getAxis()) return false;
    OpBuilder builder(op);
    auto reduce = builder.create<dist::AllReduceOp>(
        scatter.getLoc(), op.getType(), scatter.getX(), op.getAxisAttr(),
        joinReasons(scatter.getBecauseAttr(), op.getBecauseAttr()));
    replace(op, reduce.getResult(), scatter);
    return true;
  }

  // The op gives way to `value`; `before` goes too where nobody else needs it.
  static void replace(Operation* op, Value value, Operation* before) {
    op->getResult(0).replaceAllUsesWith(value);
    op->erase();
    if (before->use_empty()) before->erase();
  }
};

}  // namespace
}  // namespace dcc
