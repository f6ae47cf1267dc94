// Types, verifiers and registration of the plan dialect.
#include "dialects/plan/Plan.h"

#include "dialects/nn/Local.h"
#include "llvm/ADT/TypeSwitch.h"
#include "mlir/IR/DialectImplementation.h"
#include "runtime/plan/kernels.h"

using namespace mlir;

#define GET_TYPEDEF_CLASSES
#include "dialects/plan/PlanBaseTypes.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/plan/PlanBaseAttrs.cpp.inc"
#include "dialects/plan/PlanBaseDialect.cpp.inc"

namespace dcc::planir {
using nn::parseFloats;
using nn::printFloats;
}  // namespace dcc::planir

#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.cpp.inc"

namespace dcc::planir {

void PlanDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/plan/PlanBaseTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/plan/PlanBaseAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/plan/PlanOps.cpp.inc"
      >();
}

// <T x 96 x f32> or, rows 128 elements apart, <T x 96 x f32, 128>
Type BufferType::parse(AsmParser& parser) {
  Attribute rows;
  int64_t cols = 0;
  Type element;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || nn::parseSize(parser, rows) || parser.parseKeyword("x") ||
      parser.parseInteger(cols) || parser.parseKeyword("x") || parser.parseType(element)) {
    return {};
  }
  int64_t stride = cols;
  if (succeeded(parser.parseOptionalComma()) && parser.parseInteger(stride)) return {};
  if (parser.parseGreater()) return {};
  return BufferType::getChecked([&] { return parser.emitError(loc); }, parser.getContext(), rows,
                                cols, element, stride);
}

void BufferType::print(AsmPrinter& printer) const {
  printer << '<';
  nn::printSize(printer, getRows());
  printer << " x " << getCols() << " x " << getElementType();
  if (getStride() != getCols()) printer << ", " << getStride();
  printer << '>';
}

LogicalResult BufferType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, Attribute,
                                 int64_t cols, Type, int64_t stride) {
  if (cols < 1 || stride < cols) return emitError() << "a row has at least one column, and room";
  return success();
}

LogicalResult WeightOp::verify() {
  auto local = dyn_cast<nn::TensorType>(getType());
  auto whole = dyn_cast<nn::TensorType>(getWhole().value_or(getType()));
  if (!local || !whole) return emitOpError() << "is no tensor";
  for (nn::TensorType type : {local, whole}) {
    for (size_t i = 0; i < type.rank(); ++i) {
      if (!type.size(i)) return emitOpError() << "has a size known only at run time";
    }
  }
  return nn::verifyLocal(*this, local, whole);
}

LogicalResult InputOp::verify() {
  if (getName() == "tokens" || getName() == "positions" || getName() == "types") return success();
  return emitOpError() << "knows no step input '" << getName()
                       << "'; there are tokens, positions, types";
}

LogicalResult ViewOp::verify() {
  BufferType base = getBase().getType(), view = getBuffer().getType();
  if (view.getRows() != base.getRows() || view.getStride() != base.getStride() ||
      int64_t(getColumn()) < 0 || int64_t(getColumn()) + view.getCols() > base.getCols()) {
    return emitOpError() << "is not columns of its base";
  }
  return success();
}

LogicalResult KernelOp::verify() {
  const plan::KernelInfo* info = plan::kernelInfo(std::string_view(getKind()));
  if (!info) return emitOpError() << "knows no kernel '" << getKind() << "'";
  size_t inputs = 0, outputs = 0, symbols = 0, most = 0;
  for (const plan::OperandInfo& operand : info->operands) {
    if (operand.optional) {
      ++most;
      continue;
    }
    ++(operand.role == plan::Role::kInput    ? inputs
       : operand.role == plan::Role::kOutput ? outputs
                                             : symbols);
  }
  if (getInputs().size() != inputs || getOutputs().size() != outputs ||
      getSymbols().size() < symbols || getSymbols().size() > symbols + most) {
    return emitOpError() << "'" << getKind() << "' takes " << inputs << " buffers and " << symbols
                         << (most ? " to " + std::to_string(symbols + most) : "")
                         << " symbols into " << outputs << " buffers";
  }
  for (const plan::AttrInfo& attr : info->attrs) {
    if (attr.required && !(*this)->hasAttr(plan::attrName(attr.key))) {
      return emitOpError() << "'" << getKind() << "' needs the attribute '"
                           << plan::attrName(attr.key) << "'";
    }
  }
  return success();
}

LogicalResult CollectiveOp::verify() {
  if (!dist::meshOf(*this).sizeOf(getAxisAttr())) {
    return emitOpError() << "names the axis '" << getAxis()
                         << "', which the module's dist.mesh does not have";
  }
  if (getBecause().empty()) return emitOpError() << "says no reason";
  return success();
}

}  // namespace dcc::planir
