// fuse-residual-norm: add, rms_norm -> add_rms_norm, one pass over the row instead of two.
#include "passes/Passes.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_FUSERESIDUALNORM
#include "passes/Passes.h.inc"

namespace {

struct FuseResidualNorm : impl::FuseResidualNormBase<FuseResidualNorm> {
  void runOnOperation() override {
    SmallVector<nn::RmsNormOp> ops;
    getOperation().walk([&](nn::RmsNormOp op) { ops.push_back(op); });
    for (nn::RmsNormOp op : ops) {
      auto add = op.getX().getDefiningOp<nn::AddOp>();
      if (!add) continue;
      // Where the sum was: all that reads it comes later.
      OpBuilder builder(add);
      auto fused = builder.create<nn::AddRmsNormOp>(
          op.getLoc(), add.getResult().getType(), op.getResult().getType(), add.getX(), add.getY(),
          op.getWeightAttr(), op.getEpsAttr());
      op.getResult().replaceAllUsesWith(fused.getResult());
      op.erase();
      add.getResult().replaceAllUsesWith(fused.getSum());
      add.erase();
    }
  }
};

}  // namespace
}  // namespace dcc
