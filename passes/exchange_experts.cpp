// exchange-experts: where an entry says all-to-all, only the tokens travel that experts are asked
// for.
//
//   %w = all_gather %x                   %g = all_gather (route (linear %x))
//   %g = route (linear %w)          ->   %w = all_gather %x for %g experts [...]
//   %y = experts %w, slice %g            %y = experts %w, slice %g
//   %s = reduce_scatter %y               %s = reduce_scatter %y for %g experts [...]
//
// The router works on a rank's own tokens and its gates are gathered: all ranks have the same, to
// the last bit, and so agree on what goes where. Where a sum over ranks holds the experts' result
// and more (a shared expert), the two are exchanged apart; where a layer's tokens are whole on all
// ranks, what was an all_reduce becomes a reduce_scatter and an all_gather.
#include "passes/Passes.h"
#include "passes/Reasons.h"
#include "passes/Sharding.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_EXCHANGEEXPERTS
#include "passes/Passes.h.inc"

namespace {

class Exchange {
 public:
  Exchange(nn::ExpertsOp op, dist::SliceOp slice)
      : op_(op),
        slice_(slice),
        axis_(slice.getAxisAttr()),
        because_(joinReasons(slice.getBecauseAttr(),
                             StringAttr::get(op.getContext(), "choose-exchange"))) {}

  void run() {
    OpBuilder builder(op_);
    Value old_gates = slice_.getX(), x = op_.getX();
    DenseI64ArrayAttr experts = columns();
    auto gates =
        builder.create<dist::AllGatherOp>(old_gates.getLoc(), old_gates.getType(),
                                          partOf(builder, old_gates), 0, axis_, nullptr, because_);
    slice_->moveAfter(gates);
    slice_.getXMutable().assign(gates);
    if (auto whole = tokensGathered(x)) {
      op_.getXMutable().assign(builder.create<dist::AllGatherOp>(
          whole.getLoc(), whole.getType(), whole.getX(), gates, builder.getI64IntegerAttr(0), axis_,
          experts, DenseI64ArrayAttr(), joinReasons(whole.getBecauseAttr(), because_)));
    }
    combine(gates, experts);
  }

 private:
  // Begin and end of every coordinate's experts.
  DenseI64ArrayAttr columns() {
    nn::TensorType type = slice_.getResult().getType();
    SmallVector<int64_t> flat;
    for (const dist::Ranges& ranges :
         dist::rangesOf(type.cut(1), type.constant(1), *dist::meshOf(op_).sizeOf(axis_))) {
      flat.append({ranges.front().begin, ranges.back().end});
    }
    return DenseI64ArrayAttr::get(op_.getContext(), flat);
  }

  dist::AllGatherOp tokensGathered(Value value) {
    auto gather = value.getDefiningOp<dist::AllGatherOp>();
    bool tokens = gather && gather.getDimension() == 0 && gather.getAxisAttr() == axis_;
    return tokens && !gather.getGates() ? gather : dist::AllGatherOp();
  }

  nn::TensorType partType(Value value) {
    return cutByTokens(cast<nn::TensorType>(value.getType()), axis_);
  }

  // A rank's own tokens of a value that is whole: the router's layers are done again for them.
  Value partOf(OpBuilder& builder, Value value) {
    if (auto gather = tokensGathered(value)) return gather.getX();
    Operation* layer = value.getDefiningOp();
    if (isa_and_nonnull<nn::RouteOp, nn::LinearOp, nn::AddBiasOp>(layer)) {
      IRMapping parts;
      parts.map(layer->getOperand(0), partOf(builder, layer->getOperand(0)));
      Operation* own = builder.clone(*layer, parts);
      own->getResult(0).setType(partType(value));
      return own->getResult(0);
    }
    return builder.create<dist::SliceOp>(value.getLoc(), partType(value), value, 0,
                                         axis_.getValue(), nullptr, because_);
  }

  // The result's way to its sum over the ranks.
  void combine(Value gates, DenseI64ArrayAttr experts) {
    Value value = op_.getResult();
    nn::AddOp first;  // of the additions before the sum
    while (value.hasOneUse() && isa<nn::AddOp>(*value.user_begin())) {
      if (!first) first = cast<nn::AddOp>(*value.user_begin());
      value = value.user_begin()->getResult(0);
    }
    if (!value.hasOneUse()) return;
    Operation* sum = *value.user_begin();
    auto scatter = dyn_cast<dist::ReduceScatterOp>(sum);
    const bool tokens = scatter && scatter.getDimension() == 0 && scatter.getAxisAttr() == axis_;
    if (!tokens && !isa<dist::AllReduceOp>(sum)) return;

    OpBuilder builder(sum);
    StringAttr because = joinReasons(reasonOf(sum), because_);
    Value own = builder.create<dist::ReduceScatterOp>(
        sum->getLoc(), partType(op_.getResult()), op_.getResult(), gates,
        builder.getI64IntegerAttr(0), axis_, experts, DenseI64ArrayAttr(), because);
    if (!tokens) {
      own = builder.create<dist::AllGatherOp>(sum->getLoc(), sum->getResult(0).getType(), own, 0,
                                              axis_.getValue(), nullptr, because);
    }
    if (!first) {
      sum->getResult(0).replaceAllUsesWith(own);
      sum->erase();
      return;
    }
    // What else is summed stays where it is.
    Value other = first.getX() == op_.getResult() ? first.getY() : first.getX();
    Location loc = first.getLoc();
    first.getResult().replaceAllUsesWith(other);
    first.erase();
    builder.setInsertionPointAfter(sum);
    auto both = builder.create<nn::AddOp>(loc, sum->getResult(0).getType(), own, sum->getResult(0));
    sum->getResult(0).replaceAllUsesExcept(both.getResult(), both);
  }

  nn::ExpertsOp op_;
  dist::SliceOp slice_;
  StringAttr axis_;
  StringAttr because_;
};

struct ExchangeExperts : impl::ExchangeExpertsBase<ExchangeExperts> {
  // Routers of all tokens, and what brought them those.
  static void eraseUnused(func::FuncOp entry) {
    for (Operation& op : llvm::make_early_inc_range(llvm::reverse(entry.getBody().front()))) {
      if (op.use_empty() && isa<nn::RouteOp, nn::LinearOp, nn::AddBiasOp, dist::AllGatherOp>(op)) {
        op.erase();
      }
    }
  }

  void runOnOperation() override {
    for (auto entry : getOperation().getOps<func::FuncOp>()) {
      auto axis = entry->getAttrOfType<StringAttr>("nn.all_to_all");
      if (!axis) continue;
      SmallVector<nn::ExpertsOp> experts;
      entry.walk([&](nn::ExpertsOp op) { experts.push_back(op); });
      for (nn::ExpertsOp op : experts) {
        auto slice = op.getGates().getDefiningOp<dist::SliceOp>();
        if (slice && slice.getAxisAttr() == axis && slice.getDimension() == 1) {
          Exchange(op, slice).run();
        }
      }
      eraseUnused(entry);
    }
  }
};

}  // namespace
}  // namespace dcc
