// collectives: turn every reshard into the collective that does it.
//
// | from, on an axis | to | collective |
// | --- | --- | --- |
// | partial sum | whole | all_reduce |
// | partial sum | dimension cut | reduce_scatter |
// | dimension cut | whole | all_gather |
// | whole | dimension cut | slice (nothing moves) |
// | dimension cut | a part of what each rank has of it | slice |
// | dimension cut | another dimension cut | all_gather, slice |
#include "passes/Passes.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_COLLECTIVES
#include "passes/Passes.h.inc"

namespace {

// Where an axis occurs in a placement: its dimension, partial, or nowhere.
struct Place {
  enum Kind { kNone, kPartial, kDimension } kind = kNone;
  size_t dimension = 0;
  dist::CutAttr cut;
};

Place placeOf(dist::PlacementAttr placement, StringAttr axis) {
  if (!placement) return {};
  if (llvm::is_contained(placement.getPartial(), axis)) return {Place::kPartial, 0, {}};
  for (auto [i, cut] : llvm::enumerate(placement.getCuts())) {
    if (cut.getAxis() == axis) return {Place::kDimension, i, cut};
  }
  return {};
}

struct Collectives : impl::CollectivesBase<Collectives> {
  void runOnOperation() override {
    SmallVector<dist::ReshardOp> reshards;
    getOperation().walk([&](dist::ReshardOp op) { reshards.push_back(op); });
    for (dist::ReshardOp op : reshards) {
      if (failed(lower(op))) return signalPassFailure();
    }
  }

  // One axis after the other, in the mesh's order.
  LogicalResult lower(dist::ReshardOp op) {
    dist::PlacementAttr target = op.getResult().getType().getPlacement();
    Value value = op.getX();
    for (StringAttr axis : dist::meshOf(op).getNames()) {
      Place from = placeOf(cast<nn::TensorType>(value.getType()).getPlacement(), axis);
      Place to = placeOf(target, axis);
      if (from.kind == to.kind && from.dimension == to.dimension && from.cut == to.cut) continue;
      if (narrows(op, value, from, to)) {
        value = slice(op, value, axis, to);
        continue;
      }
      if (from.kind == Place::kDimension && to.kind == Place::kDimension) {
        FailureOr<Value> whole = move(op, value, axis, from, {});
        if (failed(whole)) return failure();
        value = *whole;
        from = {};
      }
      FailureOr<Value> moved = move(op, value, axis, from, to);
      if (failed(moved)) return failure();
      value = *moved;
    }
    op.getResult().replaceAllUsesWith(value);
    op.erase();
    return success();
  }

  static Value slice(dist::ReshardOp op, Value x, StringAttr axis, Place to) {
    OpBuilder builder(op);
    auto type = cast<nn::TensorType>(x.getType());
    return builder.create<dist::SliceOp>(op.getLoc(), type.withPlacement(replaced(type, axis, to)),
                                         x, to.dimension, axis, nullptr, op.getBecauseAttr());
  }

  // Whether every rank has all it is to have.
  static bool narrows(dist::ReshardOp op, Value x, Place from, Place to) {
    auto type = cast<nn::TensorType>(x.getType());
    if (from.kind != Place::kDimension || to.kind != Place::kDimension ||
        from.dimension != to.dimension || !type.size(from.dimension)) {
      return false;
    }
    int64_t ranks = *dist::meshOf(op).sizeOf(from.cut.getAxis()),
            size = type.constant(to.dimension);
    for (auto [all, part] :
         llvm::zip(rangesOf(from.cut, size, ranks), rangesOf(to.cut, size, ranks))) {
      if (!dist::within(part, all)) return false;
    }
    return true;
  }

  FailureOr<Value> move(dist::ReshardOp op, Value x, StringAttr axis, Place from, Place to) {
    OpBuilder builder(op);
    Location loc = op.getLoc();
    StringAttr because = op.getBecauseAttr();
    auto type = cast<nn::TensorType>(x.getType());
    nn::TensorType result = type.withPlacement(replaced(type, axis, to));
    if (from.kind == Place::kPartial && to.kind == Place::kNone) {
      return builder.create<dist::AllReduceOp>(loc, result, x, axis, because).getResult();
    }
    if (from.kind == Place::kPartial && to.kind == Place::kDimension) {
      return builder
          .create<dist::ReduceScatterOp>(loc, result, x, to.dimension, axis.getValue(), nullptr,
                                         because)
          .getResult();
    }
    if (from.kind == Place::kDimension && to.kind == Place::kNone && joins(op, type, from)) {
      return builder
          .create<dist::AllGatherOp>(loc, result, x, from.dimension, axis.getValue(), nullptr,
                                     because)
          .getResult();
    }
    if (from.kind == Place::kNone && to.kind == Place::kDimension) return slice(op, x, axis, to);
    return op.emitError() << "can't go from " << dist::describe(type.getPlacement()) << " to "
                          << dist::describe(op.getResult().getType().getPlacement()) << " over '"
                          << axis.getValue() << "' in one collective";
  }

  // Whether the coordinates' parts, one after the other, are the whole: no index is held twice (KV
  // heads that ranks share are).
  static bool joins(Operation* op, nn::TensorType type, Place from) {
    if (from.cut.isEven()) return true;
    int64_t end = 0, ranks = *dist::meshOf(op).sizeOf(from.cut.getAxis());
    for (const dist::Ranges& ranges : rangesOf(from.cut, type.constant(from.dimension), ranks)) {
      for (dist::Range r : ranges) {
        if (r.begin != end) return false;
        end = r.end;
      }
    }
    return true;
  }

  // The placement with the axis moved to where `to` says.
  static dist::PlacementAttr replaced(nn::TensorType type, StringAttr axis, Place to) {
    MLIRContext* context = type.getContext();
    dist::CutAttr whole = dist::CutAttr::get(context, StringAttr(), {});
    SmallVector<dist::CutAttr> cuts;
    SmallVector<StringAttr> partial;
    for (size_t i = 0; i < type.rank(); ++i) {
      cuts.push_back(type.cut(i).getAxis() == axis ? whole : type.cut(i));
    }
    if (type.getPlacement()) {
      for (StringAttr other : type.getPlacement().getPartial()) {
        if (other != axis) partial.push_back(other);
      }
    }
    if (to.kind == Place::kDimension) cuts[to.dimension] = to.cut;
    if (to.kind == Place::kPartial) partial.push_back(axis);
    return dist::placement(context, cuts, partial);
  }
};

}  // namespace
}  // namespace dcc
