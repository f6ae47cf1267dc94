// Types, attributes and registration of the nn dialect.
#include "dialects/nn/NN.h"

#include <charconv>

#include "llvm/ADT/TypeSwitch.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;

#define GET_TYPEDEF_CLASSES
#include "dialects/nn/NNBaseTypes.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/nn/NNBaseAttrs.cpp.inc"
#include "dialects/nn/NNBaseDialect.cpp.inc"

namespace dcc::nn {

void NNDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/nn/NNBaseTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/nn/NNBaseAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/nn/NNOps.cpp.inc"
      >();
}

Attribute sizeAttr(MLIRContext* context, int64_t size) {
  return IntegerAttr::get(IntegerType::get(context, 64), size);
}

StringAttr partOf(StringAttr size, StringAttr axis) {
  return StringAttr::get(size.getContext(), size.getValue() + "_" + axis.getValue());
}

std::pair<StringRef, StringRef> wholeOf(StringRef size) { return size.split('_'); }

void printSize(AsmPrinter& printer, Attribute size) {
  if (auto name = dyn_cast<StringAttr>(size)) {
    printer << name.getValue();
  } else {
    printer << cast<IntegerAttr>(size).getInt();
  }
}

ParseResult parseSize(AsmParser& parser, Attribute& size) {
  int64_t value = 0;
  OptionalParseResult number = parser.parseOptionalInteger(value);
  if (number.has_value()) {
    size = sizeAttr(parser.getContext(), value);
    return *number;
  }
  StringRef name;
  if (parser.parseKeyword(&name)) return failure();
  size = StringAttr::get(parser.getContext(), name);
  return success();
}

// ---- tensor ------------------------------------------------------------------------------------

// <T x 256 x f32, [_, tp]>: sizes are separated by the keyword x, so that names may be sizes.
Type TensorType::parse(AsmParser& parser) {
  SmallVector<Attribute> dims;
  Type element;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess()) return {};
  while (true) {
    OptionalParseResult type = parser.parseOptionalType(element);
    if (type.has_value()) {
      if (failed(*type)) return {};
      break;
    }
    Attribute size;
    if (parseSize(parser, size) || parser.parseKeyword("x")) return {};
    dims.push_back(size);
  }
  dist::PlacementAttr placement;
  if (succeeded(parser.parseOptionalComma())) {
    auto parsed = dist::PlacementAttr::parseBare(parser, dims.size());
    if (failed(parsed)) return {};
    placement = dist::placement(parser.getContext(), parsed->getCuts(), parsed->getPartial());
  }
  if (parser.parseGreater()) return {};
  return TensorType::getChecked([&] { return parser.emitError(loc); }, parser.getContext(), dims,
                                element, placement);
}

void TensorType::print(AsmPrinter& printer) const {
  printer << '<';
  for (Attribute size : getDims()) {
    printSize(printer, size);
    printer << " x ";
  }
  printer << getElementType();
  if (getPlacement()) {
    printer << ", ";
    getPlacement().printBare(printer);
  }
  printer << '>';
}

LogicalResult TensorType::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<Attribute> dims, Type element,
                                 dist::PlacementAttr placement) {
  for (Attribute size : dims) {
    auto n = llvm::dyn_cast<IntegerAttr>(size);
    if (n ? n.getInt() < 1 : !llvm::isa<StringAttr>(size)) {
      return emitError() << "a size is a positive number or a name";
    }
  }
  if (!element.isIntOrFloat()) return emitError() << "element type " << element << " is no number";
  if (placement && placement.getCuts().size() != dims.size()) {
    return emitError() << "the placement has " << placement.getCuts().size()
                       << " dimensions, the tensor " << dims.size();
  }
  return success();
}

TensorType TensorType::get(MLIRContext* context, ArrayRef<Attribute> dims, Type element) {
  return Base::get(context, dims, element, dist::PlacementAttr());
}

std::optional<int64_t> TensorType::size(size_t i) const {
  auto n = llvm::dyn_cast<IntegerAttr>(getDims()[i]);
  return n ? std::optional(n.getInt()) : std::nullopt;
}

dist::CutAttr TensorType::cut(size_t i) const {
  if (getPlacement()) return getPlacement().getCuts()[i];
  return dist::CutAttr::get(getContext(), StringAttr(), {});
}

TensorType TensorType::withPlacement(dist::PlacementAttr placement) const {
  return Base::get(getContext(), getDims(), getElementType(), placement);
}

TensorType TensorType::withDims(ArrayRef<Attribute> dims) const {
  return Base::get(getContext(), dims, getElementType(), getPlacement());
}

TensorType TensorType::withSize(size_t i, int64_t n) const {
  SmallVector<Attribute> dims(getDims());
  dims[i] = sizeAttr(getContext(), n);
  return withDims(dims);
}

// ---- floats ------------------------------------------------------------------------------------

void printFloat(AsmPrinter& printer, float value) {
  char text[32];
  auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  // MLIR's floats have a point.
  auto [mantissa, exponent] = StringRef(text, end - text).split('e');
  printer << mantissa << (mantissa.contains('.') ? "e" : ".0e") << exponent;
}

void printFloat(AsmPrinter& printer, FloatAttr value) {
  printFloat(printer, float(value.getValueAsDouble()));
}

ParseResult parseFloat(AsmParser& parser, FloatAttr& value) {
  double number = 0;
  if (parser.parseFloat(number)) return failure();
  value = parser.getBuilder().getF32FloatAttr(float(number));
  return success();
}

// ---- source ------------------------------------------------------------------------------------

// <"name" in 0 at 1024 : 256 x 256 x bf16 strides [1, 256]>
Attribute SourceAttr::parse(AsmParser& parser, Type) {
  StringAttr tensor;
  int64_t file = 0, offset = 0;
  SmallVector<int64_t> shape;
  Type type;
  if (parser.parseLess() || parser.parseAttribute(tensor) || parser.parseKeyword("in") ||
      parser.parseInteger(file) || parser.parseKeyword("at") || parser.parseInteger(offset) ||
      parser.parseColon()) {
    return {};
  }
  while (true) {
    OptionalParseResult element = parser.parseOptionalType(type);
    if (element.has_value()) {
      if (failed(*element)) return {};
      break;
    }
    int64_t size = 0;
    if (parser.parseInteger(size) || parser.parseKeyword("x")) return {};
    shape.push_back(size);
  }
  SmallVector<int64_t> strides;
  if (succeeded(parser.parseOptionalKeyword("strides"))) {
    auto stride = [&] { return parser.parseInteger(strides.emplace_back()); };
    SMLoc at = parser.getCurrentLocation();
    if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, stride)) return {};
    if (strides.size() != shape.size()) {
      parser.emitError(at) << "there is one stride for each of " << shape.size() << " dimensions";
      return {};
    }
  }
  EncodingAttr encoding;
  if (succeeded(parser.parseOptionalKeyword("encoded")) &&
      parser.parseCustomAttributeWithFallback(encoding)) {
    return {};
  }
  if (parser.parseGreater()) return {};
  return SourceAttr::get(parser.getContext(), tensor, file, offset, shape, type, strides, encoding);
}

void SourceAttr::print(AsmPrinter& printer) const {
  printer << '<' << getTensor() << " in " << getFile() << " at " << getOffset() << " : ";
  for (int64_t size : getShape()) printer << size << " x ";
  printer << getType();
  if (!getStrides().empty()) {
    printer << " strides [";
    llvm::interleaveComma(getStrides(), printer);
    printer << ']';
  }
  if (getEncoding()) {
    printer << " encoded ";
    printer.printStrippedAttrOrType(getEncoding());
  }
  printer << '>';
}

}  // namespace dcc::nn
