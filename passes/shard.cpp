// shard: give every value its placement, in one forward pass over each entry.
//
// verify-sharding: what shard would infer is what the types say.
#include "passes/Passes.h"
#include "passes/Sharding.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_SHARD
#define GEN_PASS_DEF_VERIFYSHARDING
#include "passes/Passes.h.inc"

namespace {

bool isPartial(Type type) {
  auto tensor = dyn_cast<nn::TensorType>(type);
  return tensor && tensor.isPartial();
}

// The value as a full sum, cut as it was.
Value sumOf(Value value, SymbolTableCollection& symbols) {
  auto type = cast<nn::TensorType>(value.getType());
  dist::PlacementAttr to = dist::placement(value.getContext(), type.getPlacement().getCuts());
  OpBuilder builder(value.getContext());
  builder.setInsertionPointAfterValue(value);
  std::string because = ruleBehind(value, symbols);
  auto sum = builder.create<dist::ReshardOp>(
      value.getLoc(), type.withPlacement(to), value, dist::PlacementAttr(), to,
      builder.getStringAttr(because.empty() ? "a partial sum" : because));
  value.replaceAllUsesExcept(sum.getResult(), sum);
  return sum;
}

struct Shard : impl::ShardBase<Shard> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTableCollection symbols;
    for (auto entry : getOperation().getOps<func::FuncOp>()) {
      for (Operation& op : llvm::make_early_inc_range(entry.getBody().front())) {
        if (failed(visit(&op, symbols))) return signalPassFailure();
      }
      // The entry gives what its return gives.
      auto results = entry.getBody().front().getTerminator()->getOperandTypes();
      entry.setType(FunctionType::get(&getContext(), entry.getArgumentTypes(), results));
    }
  }

  LogicalResult visitReshard(dist::ReshardOp op, SymbolTableCollection& symbols);
  LogicalResult visitSplit(nn::SplitOp op, SymbolTableCollection& symbols);

  // An error about how `op` is cut. With `gather` it gets those of its operands that are cut whole
  // instead, it alone, and the error becomes a warning; false where there are none.
  bool gatherFor(Operation* op, const Twine& error, SymbolTableCollection& symbols);

  static bool isOneRange(nn::TensorType type, dist::MeshAttr mesh) {
    dist::CutAttr cut = type.cut(1);
    if (!cut.isCut()) return true;
    int64_t ranks = *mesh.sizeOf(cut.getAxis());
    return llvm::all_of(dist::rangesOf(cut, type.constant(1), ranks),
                        [](const dist::Ranges& own) { return own.size() == 1; });
  }

  LogicalResult visit(Operation* op, SymbolTableCollection& symbols) {
    if (auto reshard = dyn_cast<dist::ReshardOp>(op)) return visitReshard(reshard, symbols);
    if (isa<func::ReturnOp>(op)) {
      for (Value value : llvm::to_vector(op->getOperands())) {
        auto type = cast<nn::TensorType>(value.getType());
        if (type.isPartial()) sumOf(value, symbols);
        std::string error;
        if (type.cut(0).isCut()) {
          error = "gives its result cut by tokens (" + ruleBehind(value, symbols) +
                  "), but the model's result is whole in them; a rule that gathers is right";
        } else if (!isOneRange(type, dist::meshOf(op))) {
          error = "gives a rank several ranges of the result's columns (" +
                  ruleBehind(value, symbols) +
                  "), but one range each makes the result; colwise is right";
        }
        if (error.empty()) continue;
        Operation* maker = value.getDefiningOp();
        if (!gatherFor(op, error, symbols)) return maker->emitError() << error;
        break;  // all are whole now
      }
      return success();
    }
    if (auto split = dyn_cast<nn::SplitOp>(op)) return visitSplit(split, symbols);
    auto layer = dyn_cast<nn::FactorRuleInterface>(op);
    if (!layer) return op->emitOpError() << "has no factor rule, so it can't be sharded";
    while (true) {
      Placements placements = inferPlacements(layer, symbols);
      if (placements.kind == Placements::kConflict) {
        if (!gatherFor(op, placements.message, symbols))
          return op->emitError() << placements.message;
        continue;
      }
      if (placements.kind == Placements::kPartialOperand) {
        sumOf(op->getOperand(placements.operand), symbols);
        continue;
      }
      for (auto [value, placement] : llvm::zip(op->getResults(), placements.results)) {
        auto type = cast<nn::TensorType>(value.getType());
        // Sums over ranks are made in f32, whatever activations are.
        Type element = placement && placement.isPartial() ? Float32Type::get(&getContext())
                                                          : type.getElementType();
        value.setType(
            nn::TensorType::get(&getContext(), type.getDims(), element).withPlacement(placement));
        // What would be computed of the parts is another value than what one rank computes of the
        // sum.
        if (cast<nn::TensorType>(value.getType()).isPartial() && nn::isInvariant(op)) {
          sumOf(value, symbols);
        }
      }
      return success();
    }
  }
};

bool Shard::gatherFor(Operation* op, const Twine& error, SymbolTableCollection& symbols) {
  if (!gather) return false;
  bool any = false;
  OpBuilder builder(op);
  for (OpOperand& operand : op->getOpOperands()) {
    auto type = dyn_cast<nn::TensorType>(operand.get().getType());
    if (!type || !type.getPlacement() || !type.getPlacement().isCut()) continue;
    std::string because = ruleBehind(operand.get(), symbols);
    because +=
        (because.empty() ? "" : ", ") + std::string("gathered, as --allow-implicit-gather allows");
    auto whole = builder.create<dist::ReshardOp>(
        op->getLoc(), type.withPlacement({}), operand.get(), dist::PlacementAttr(),
        dist::PlacementAttr(), builder.getStringAttr(because));
    operand.set(whole);
    any = true;
  }
  if (any)
    op->emitWarning() << "gathers what arrives, which costs an exchange in every step: " << error;
  return any;
}

// A strategy may say what must arrive. A partial sum is as good as the whole value.
LogicalResult Shard::visitReshard(dist::ReshardOp op, SymbolTableCollection& symbols) {
  auto normal = [](dist::PlacementAttr placement) {
    if (!placement) return placement;
    return dist::placement(placement.getContext(), placement.getCuts(), placement.getPartial());
  };
  // Who else reads a sum of which a part is wanted gets it summed too, and in parts where that pays
  // (residual-by-tokens).
  dist::PlacementAttr to = normal(op.getTo().value_or(dist::PlacementAttr()));
  if (to && op.getX().getType().isPartial() && !op.getX().hasOneUse()) sumOf(op.getX(), symbols);
  dist::PlacementAttr from = op.getX().getType().getPlacement();
  bool sum = from && from.isPartial() && !from.isCut();
  auto sameAxes = [](dist::PlacementAttr a, dist::PlacementAttr b) {
    if (!a || !b || a.getPartial() != b.getPartial()) return a == b;
    return llvm::equal(a.getCuts(), b.getCuts(),
                       [](dist::CutAttr x, dist::CutAttr y) { return x.getAxis() == y.getAxis(); });
  };
  if (op.getFrom() && !sameAxes(from, normal(*op.getFrom())) && !(sum && !normal(*op.getFrom()))) {
    std::string error = "takes its input " + dist::describe(normal(*op.getFrom())) + " (" +
                        op.getBecause().str() + "), but it arrives " + dist::describe(from) + " (" +
                        ruleBehind(op.getX(), symbols) + "); give one of the two another rule";
    // A part of what is whole would be a silent slice.
    const bool wants_whole = !normal(*op.getFrom()) || !normal(*op.getFrom()).isCut();
    if (!wants_whole || !gatherFor(op, error, symbols)) return op.emitError() << error;
  }
  op.getResult().setType(op.getX().getType().withPlacement(to));
  return success();
}

// Each part has of its block what a rank holds of the whole.
LogicalResult Shard::visitSplit(nn::SplitOp op, SymbolTableCollection& symbols) {
  if (op.getX().getType().isPartial()) sumOf(op.getX(), symbols);
  nn::TensorType type = op.getX().getType();
  SmallVector<int64_t> sizes;
  for (Value part : op.getParts())
    sizes.push_back(cast<nn::TensorType>(part.getType()).constant(1));
  auto cuts = dist::unstack(type.cut(1), sizes, dist::meshOf(op));
  // Parts that stack to another cut would mix up their columns.
  if (cuts && dist::stack(*cuts, sizes, dist::meshOf(op)) != type.cut(1)) cuts = std::nullopt;
  if (!cuts) {
    std::string error = "splits what is cut as one block (" + ruleBehind(op.getX(), symbols) +
                        "), so that a rank would lack a part; packed_colwise cuts each block";
    if (!gatherFor(op, error, symbols)) return op.emitError() << error;
    return visitSplit(op, symbols);
  }
  for (auto [part, cut] : llvm::zip(op.getParts(), *cuts)) {
    part.setType(cast<nn::TensorType>(part.getType())
                     .withPlacement(dist::placement(op.getContext(), {type.cut(0), cut})));
  }
  return success();
}

struct VerifySharding : impl::VerifyShardingBase<VerifySharding> {
  void runOnOperation() override {
    SymbolTableCollection symbols;
    for (auto entry : getOperation().getOps<func::FuncOp>()) {
      for (Operation& op : entry.getBody().front()) {
        if (failed(visit(&op, symbols))) return signalPassFailure();
      }
    }
  }

  LogicalResult visit(Operation* op, SymbolTableCollection& symbols) {
    if (auto layer = dyn_cast<nn::FactorRuleInterface>(op)) {
      Placements placements = inferPlacements(layer, symbols);
      if (placements.kind == Placements::kConflict) return op->emitError() << placements.message;
      if (placements.kind == Placements::kPartialOperand) {
        return op->emitError() << "reads a partial sum as operand " << placements.operand
                               << "; sum it first";
      }
      if (nn::isInvariant(op) && llvm::any_of(op->getOperandTypes(), isPartial)) {
        return op->emitError() << "reads a partial sum, whose value differs from degree to degree; "
                                  "with invariant numerics sum it first";
      }
      for (auto [value, placement] : llvm::zip(op->getResults(), placements.results)) {
        auto type = cast<nn::TensorType>(value.getType());
        if (type.getPlacement() == placement) continue;
        return op->emitError() << "says its result is " << dist::describe(type.getPlacement())
                               << ", its operands make it " << dist::describe(placement);
      }
      return success();
    }
    if (auto split = dyn_cast<nn::SplitOp>(op)) return visitSplit(split);
    if (auto gather = dyn_cast<dist::AllGatherOp>(op)) return visitDispatch(gather);
    if (auto scatter = dyn_cast<dist::ReduceScatterOp>(op)) return visitCombine(scatter);
    if (isa<func::ReturnOp>(op)) {
      for (Value value : op->getOperands()) {
        if (!cast<nn::TensorType>(value.getType()).isPartial()) continue;
        return op->emitError() << "returns a partial sum; sum it first";
      }
    }
    return success();
  }

  // Whether a rank's experts have the columns of the gates that an exchange says they have.
  static bool isFor(nn::ExpertsOp experts, StringAttr axis, Value gates,
                    ArrayRef<int64_t> columns) {
    auto slice = experts.getGates().getDefiningOp<dist::SliceOp>();
    if (!slice || slice.getX() != gates || slice.getAxisAttr() != axis) return false;
    nn::TensorType type = slice.getResult().getType();
    if (type.cut(1).getAxis() != axis) return false;
    SmallVector<int64_t> own;
    for (const dist::Ranges& ranges :
         dist::rangesOf(type.cut(1), type.constant(1), *dist::meshOf(experts).sizeOf(axis))) {
      if (ranges.size() != 1) return false;
      own.append({ranges.front().begin, ranges.front().end});
    }
    return ArrayRef<int64_t>(own) == columns;
  }

  // A token that no expert of a rank asked for is not there.
  static LogicalResult visitDispatch(dist::AllGatherOp op) {
    if (!op.getGates()) return success();
    for (Operation* user : op->getUsers()) {
      auto experts = dyn_cast<nn::ExpertsOp>(user);
      if (experts && experts.getX() == op.getResult() && experts.getGates() != op.getResult() &&
          isFor(experts, op.getAxisAttr(), op.getGates(), *op.getExperts())) {
        continue;
      }
      return op.emitError()
             << "brings the tokens that experts are asked for, and something other "
                "than those experts reads them; an all_gather without gates brings all";
    }
    return success();
  }

  // Nor has a rank anything to add for it.
  static LogicalResult visitCombine(dist::ReduceScatterOp op) {
    if (!op.getGates()) return success();
    auto experts = op.getX().getDefiningOp<nn::ExpertsOp>();
    if (experts && isFor(experts, op.getAxisAttr(), op.getGates(), *op.getExperts())) {
      return success();
    }
    return op.emitError()
           << "sums what experts gave for the tokens that they are asked for, and its "
              "operand is no result of those; a reduce_scatter without gates sums all";
  }

  // Every rank's part of the whole is its parts of the blocks, one after the other.
  LogicalResult visitSplit(nn::SplitOp op) {
    SmallVector<dist::CutAttr> cuts;
    SmallVector<int64_t> sizes;
    for (Value part : op.getParts()) {
      auto type = cast<nn::TensorType>(part.getType());
      cuts.push_back(type.cut(1));
      sizes.push_back(type.constant(1));
    }
    if (dist::stack(cuts, sizes, dist::meshOf(op)) == op.getX().getType().cut(1)) return success();
    return op.emitError() << "splits a value whose cut is not that of its parts";
  }
};

}  // namespace
}  // namespace dcc
