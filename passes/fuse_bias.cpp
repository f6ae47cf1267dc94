// fuse-bias: linear, add_bias -> linear with bias, where no sum over ranks stands between.
#include "passes/Passes.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_FUSEBIAS
#include "passes/Passes.h.inc"

namespace {

struct FuseBias : impl::FuseBiasBase<FuseBias> {
  void runOnOperation() override {
    SmallVector<nn::AddBiasOp> ops;
    getOperation().walk([&](nn::AddBiasOp op) { ops.push_back(op); });
    for (nn::AddBiasOp op : ops) {
      auto linear = op.getX().getDefiningOp<nn::LinearOp>();
      if (!linear || linear.getBias() || !linear->hasOneUse() ||
          linear.getResult().getType().isPartial() || linear.getType() != op.getType()) {
        continue;
      }
      linear.setBiasAttr(op.getBiasAttr());
      op.getResult().replaceAllUsesWith(linear.getResult());
      op.erase();
    }
  }
};

}  // namespace
}  // namespace dcc
