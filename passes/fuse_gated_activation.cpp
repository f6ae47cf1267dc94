// fuse-gated-activation: mul of an activation and a gate -> gated_activation.
#include "passes/Passes.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_FUSEGATEDACTIVATION
#include "passes/Passes.h.inc"

namespace {

struct FuseGatedActivation : impl::FuseGatedActivationBase<FuseGatedActivation> {
  void runOnOperation() override {
    SmallVector<nn::MulOp> ops;
    getOperation().walk([&](nn::MulOp op) { ops.push_back(op); });
    for (nn::MulOp op : ops) {
      Value gate = op.getX(), up = op.getY();
      if (!gate.getDefiningOp<nn::ActivationOp>()) std::swap(gate, up);
      auto activation = gate.getDefiningOp<nn::ActivationOp>();
      if (!activation || !activation->hasOneUse()) continue;
      OpBuilder builder(op);
      auto fused = builder.create<nn::GatedActivationOp>(op.getLoc(), op.getResult().getType(),
                                                         activation.getX(), up,
                                                         activation.getFunctionAttr());
      op.getResult().replaceAllUsesWith(fused.getResult());
      op.erase();
      activation.erase();
    }
  }
};

}  // namespace
}  // namespace dcc
