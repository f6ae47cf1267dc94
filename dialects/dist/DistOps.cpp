// Verifiers of the collectives.
#include "dialects/dist/Dist.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/dist/DistOps.cpp.inc"

namespace dcc::dist {

// The axis exists and the operand's type fits the result's; once local (inside a dist.program) the
// types carry no placement any more and the counts must be there.
static LogicalResult verifyCollective(Operation* op, StringAttr axis, StringAttr because) {
  if (!meshOf(op).sizeOf(axis)) {
    return op->emitOpError() << "names the axis '" << axis.getValue()
                             << "', which the module's dist.mesh does not have";
  }
  if (because.getValue().empty()) {
    return op->emitOpError() << "says no reason; `because` names the rule that asked for it";
  }
  return success();
}

static bool isLocal(Operation* op) { return op->getParentOfType<ProgramOp>() != nullptr; }

LogicalResult AllReduceOp::verify() {
  if (failed(verifyCollective(*this, getAxisAttr(), getBecauseAttr()))) return failure();
  nn::TensorType from = getX().getType(), to = getResult().getType();
  if (from.getDims() != to.getDims()) return emitOpError() << "changes the shape";
  if (!isLocal(*this) && (!from.isPartial() || to.isPartial())) {
    return emitOpError() << "needs a partial sum over '" << getAxis() << "' and gives the sum";
  }
  return success();
}

// An exchange for experts: tokens are cut, and every coordinate has some columns of the gates.
template <class Op>
static LogicalResult verifyGates(Op op) {
  if (!op.getGates() && !op.getExperts()) return success();
  if (!op.getGates() || !op.getExperts() || op.getDimension() != 0) {
    return op.emitOpError() << "has gates and experts together, and cuts tokens";
  }
  const int64_t columns = cast<nn::TensorType>(op.getGates().getType()).constant(1);
  const auto ranks = static_cast<size_t>(*meshOf(op).sizeOf(op.getAxisAttr()));
  ArrayRef<int64_t> experts = *op.getExperts();
  bool right = experts.size() == 2 * ranks;
  for (size_t i = 0; right && i < experts.size(); i += 2) {
    right = 0 <= experts[i] && experts[i] <= experts[i + 1] && experts[i + 1] <= columns;
  }
  if (right) return success();
  return op.emitOpError() << "needs begin and end, among " << columns << " experts, for each of "
                          << ranks << " ranks";
}

LogicalResult AllGatherOp::verify() {
  if (failed(verifyCollective(*this, getAxisAttr(), getBecauseAttr()))) return failure();
  if (failed(verifyGates(*this))) return failure();
  nn::TensorType from = getX().getType();
  if (getDimension() >= from.rank()) {
    return emitOpError() << "has no dimension " << getDimension();
  }
  if (isLocal(*this)) {
    if (getCounts().has_value() == from.size(getDimension()).has_value()) return success();
    return emitOpError() << "has counts for a constant size, and only then";
  }
  if (from.cut(getDimension()).getAxis() != getAxisAttr()) {
    return emitOpError() << "needs a value whose dimension " << getDimension() << " is cut over '"
                         << getAxis() << "'";
  }
  return success();
}

LogicalResult ReduceScatterOp::verify() {
  if (failed(verifyCollective(*this, getAxisAttr(), getBecauseAttr()))) return failure();
  if (failed(verifyGates(*this))) return failure();
  nn::TensorType from = getX().getType(), to = getResult().getType();
  if (getDimension() >= to.rank()) {
    return emitOpError() << "has no dimension " << getDimension();
  }
  if (isLocal(*this)) {
    if (getCounts().has_value() == to.size(getDimension()).has_value()) return success();
    return emitOpError() << "has counts for a constant size, and only then";
  }
  if (!from.isPartial() || to.cut(getDimension()).getAxis() != getAxisAttr()) {
    return emitOpError() << "needs a partial sum over '" << getAxis() << "' and cuts it";
  }
  return success();
}

}  // namespace dcc::dist
