// residual-by-tokens: a residual stream of which parts by tokens are wanted is kept in parts.
//
// The stream is what additions lead to from one another. Where norms take slices of it
// (sequence_parallel), every all_reduce that enters it becomes a reduce_scatter, half the bytes,
// the slices are gone, and additions work on a rank's own tokens. Who needs it whole gets it
// gathered; the pass leaves streams alone in which that costs as much as it saves.
//
//   %s = all_reduce %p                      %s = reduce_scatter %p dimension 0
//   %x = add %r, %s            ->           %x = add %r', %s
//   %n = rms_norm (slice %x)                %n = rms_norm %x
//
// With `norms`, and in entries that say nn.all_to_all, it first makes such slices itself for every
// norm of a stream, with an all_gather of the norm's result: all_reduce becomes reduce_scatter +
// all_gather around the norm.
#include "passes/Passes.h"
#include "passes/Reasons.h"
#include "passes/Sharding.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_RESIDUALBYTOKENS
#include "passes/Passes.h.inc"

namespace {

// A whole value [tokens, features] over whose tokens the axis can be cut.
bool isWholeByToken(Value value) {
  auto type = dyn_cast<nn::TensorType>(value.getType());
  return type && type.rank() == 2 && !type.size(0) && type.isReplicated();
}

class Streams {
 public:
  Streams(func::FuncOp entry, StringAttr axis) : entry_(entry), axis_(axis) {}

  // Every norm of a whole sum takes a slice and gives its result gathered.
  void sliceNorms() {
    SmallVector<nn::RmsNormOp> norms;
    entry_.walk([&](nn::RmsNormOp op) { norms.push_back(op); });
    for (nn::RmsNormOp op : norms) {
      if (!isWholeByToken(op.getX()) || !op.getX().getDefiningOp<nn::AddOp>()) continue;
      OpBuilder builder(op);
      StringAttr because = builder.getStringAttr("residual-by-tokens");
      nn::TensorType whole = op.getResult().getType();
      Value part = sliceOf(builder, op.getX(), because);
      op.getXMutable().assign(part);
      op.getResult().setType(cutByTokens(whole, axis_));
      builder.setInsertionPointAfter(op);
      auto gather = builder.create<dist::AllGatherOp>(op.getLoc(), whole, op.getResult(), 0,
                                                      axis_.getValue(), nullptr, because);
      op.getResult().replaceAllUsesExcept(gather.getResult(), gather);
    }
  }

  void run() {
    for (Operation& op : entry_.getBody().front()) {
      auto add = dyn_cast<nn::AddOp>(op);
      if (add && isWholeByToken(add.getResult())) join(add);
    }
    llvm::MapVector<Value, SmallVector<Value>> streams;  // by a value of each, in order
    for (Operation& op : entry_.getBody().front()) {
      for (Value value : op.getResults()) {
        if (leader_.count(value)) streams[leaderOf(value)].push_back(value);
      }
    }
    for (auto& [leader, members] : streams) {
      if (pays(members)) rewrite(members);
    }
  }

 private:
  // ---- what belongs together --------------------------------------------------------------------

  Value leaderOf(Value value) {
    while (leader_[value] != value) value = leader_[value];
    return value;
  }

  // An addition's result, and of its operands other additions' and sums over ranks.
  void join(nn::AddOp add) {
    leader_.try_emplace(add.getResult(), add.getResult());
    for (Value operand : add->getOperands()) {
      bool sum = operand.getDefiningOp<dist::AllReduceOp>() != nullptr && isWholeByToken(operand);
      if (!sum && !leader_.count(operand)) continue;
      leader_.try_emplace(operand, operand);
      leader_[leaderOf(operand)] = leaderOf(add.getResult());
    }
  }

  // ---- whether it pays --------------------------------------------------------------------------

  bool isSlice(Operation* op) {
    auto slice = dyn_cast<dist::SliceOp>(op);
    return slice && slice.getDimension() == 0 && slice.getAxisAttr() == axis_;
  }

  bool staysWhole(OpOperand& use) {
    Operation* user = use.getOwner();
    return !isSlice(user) && !(isa<nn::AddOp>(user) && leader_.count(user->getResult(0)));
  }

  // In exchanges of one part each: an all_reduce is two, a gather one.
  bool pays(ArrayRef<Value> members) {
    int64_t saved = 0, gathers = 0, slices = 0;
    for (Value value : members) {
      saved += isa<dist::AllReduceOp>(value.getDefiningOp());
      gathers += llvm::any_of(value.getUses(), [&](OpOperand& use) { return staysWhole(use); });
      slices += llvm::any_of(value.getUsers(), [&](Operation* user) { return isSlice(user); });
    }
    return slices > 0 && saved > gathers;
  }

  // ---- in parts ---------------------------------------------------------------------------------

  Value sliceOf(OpBuilder& builder, Value value, StringAttr because) {
    auto type = cast<nn::TensorType>(value.getType());
    return builder.create<dist::SliceOp>(value.getLoc(), cutByTokens(type, axis_), value, 0,
                                         axis_.getValue(), nullptr, because);
  }

  // Why the stream is in parts: the first slice's reason.
  StringAttr reasonOf(ArrayRef<Value> members) {
    for (Value value : members) {
      for (Operation* user : value.getUsers()) {
        if (isSlice(user)) return dcc::reasonOf(user);
      }
    }
    return {};
  }

  void rewrite(ArrayRef<Value> members) {
    StringAttr because = reasonOf(members);
    llvm::DenseMap<Value, Value> parts;
    for (Value value : members) {
      OpBuilder builder(value.getContext());
      builder.setInsertionPointAfterValue(value);
      nn::TensorType type = cutByTokens(cast<nn::TensorType>(value.getType()), axis_);
      Value part;
      if (auto reduce = value.getDefiningOp<dist::AllReduceOp>()) {
        part = builder.create<dist::ReduceScatterOp>(reduce.getLoc(), type, reduce.getX(), 0,
                                                     axis_.getValue(), nullptr,
                                                     joinReasons(reduce.getBecauseAttr(), because));
      } else {
        auto add = cast<nn::AddOp>(value.getDefiningOp());
        auto partOf = [&](Value operand) {
          Value known = parts.lookup(operand);
          return known ? known : sliceOf(builder, operand, because);
        };
        Value x = partOf(add.getX()), y = partOf(add.getY());
        part = builder.create<nn::AddOp>(add.getLoc(), type, x, y);
      }
      parts[value] = part;
      moveUses(builder, value, part, because);
    }
    for (Value value : llvm::reverse(members)) {
      if (value.use_empty()) value.getDefiningOp()->erase();
    }
  }

  // Slices are the part; who needs it whole reads it gathered; additions of the stream come next.
  void moveUses(OpBuilder& builder, Value value, Value part, StringAttr because) {
    Value whole;
    for (OpOperand& use : llvm::make_early_inc_range(value.getUses())) {
      Operation* user = use.getOwner();
      if (isSlice(user)) {
        user->getResult(0).replaceAllUsesWith(part);
        user->erase();
      } else if (staysWhole(use)) {
        if (!whole) {
          whole = builder.create<dist::AllGatherOp>(value.getLoc(), value.getType(), part, 0,
                                                    axis_.getValue(), nullptr, because);
        }
        use.set(whole);
      }
    }
  }

  func::FuncOp entry_;
  StringAttr axis_;
  llvm::DenseMap<Value, Value> leader_;
};

struct ResidualByTokens : impl::ResidualByTokensBase<ResidualByTokens> {
  using Base::Base;

  void runOnOperation() override {
    dist::MeshAttr mesh = dist::meshOf(getOperation());
    for (auto [axis, size] : llvm::zip(mesh.getNames(), mesh.getSizes())) {
      if (size < 2) continue;
      for (auto entry : getOperation().getOps<func::FuncOp>()) {
        Streams streams(entry, axis);
        if (norms || entry->getAttr("nn.all_to_all") == axis) streams.sliceNorms();
        streams.run();
      }
    }
  }
};

}  // namespace
}  // namespace dcc
