// Registration of the dist dialect; parsing, printing and verification of its attributes.
#include "dialects/dist/Dist.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;

#define GET_ATTRDEF_CLASSES
#include "dialects/dist/DistBaseAttrs.cpp.inc"
#include "dialects/dist/DistBaseDialect.cpp.inc"

namespace dcc::dist {

void DistDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/dist/DistBaseAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/dist/DistOps.cpp.inc"
      >();
}

// ---- mesh --------------------------------------------------------------------------------------

Attribute MeshAttr::parse(AsmParser& parser, Type) {
  SmallVector<StringAttr> names;
  SmallVector<int64_t> sizes;
  auto one = [&]() -> ParseResult {
    StringRef name;
    int64_t size = 0;
    if (parser.parseKeyword(&name) || parser.parseEqual() || parser.parseInteger(size)) {
      return failure();
    }
    names.push_back(StringAttr::get(parser.getContext(), name));
    sizes.push_back(size);
    return success();
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater, one)) return {};
  return MeshAttr::getChecked([&] { return parser.emitError(loc); }, parser.getContext(), names,
                              sizes);
}

void MeshAttr::print(AsmPrinter& printer) const {
  printer << '<';
  llvm::interleaveComma(llvm::zip(getNames(), getSizes()), printer, [&](auto axis) {
    printer << std::get<0>(axis).getValue() << " = " << std::get<1>(axis);
  });
  printer << '>';
}

LogicalResult MeshAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                               ArrayRef<StringAttr> names, ArrayRef<int64_t> sizes) {
  if (names.size() != sizes.size()) return emitError() << "a mesh needs one size per axis";
  int64_t world = 1;
  for (auto [i, name] : llvm::enumerate(names)) {
    if (llvm::is_contained(names.take_front(i), name)) {
      return emitError() << "mesh axis '" << name.getValue() << "' occurs twice";
    }
    if (sizes[i] < 1 || sizes[i] > 65536 || (world *= sizes[i]) > 65536) {
      return emitError() << "mesh axis '" << name.getValue() << "' has size " << sizes[i]
                         << "; a mesh has 1 to 65536 ranks";
    }
  }
  return success();
}

int64_t MeshAttr::worldSize() const {
  int64_t n = 1;
  for (int64_t size : getSizes()) n *= size;
  return n;
}

std::optional<int64_t> MeshAttr::sizeOf(StringAttr axis) const {
  for (auto [name, size] : llvm::zip(getNames(), getSizes())) {
    if (name == axis) return size;
  }
  return std::nullopt;
}

int64_t MeshAttr::coordinate(int64_t rank, StringAttr axis) const {
  int64_t below = worldSize();
  for (auto [name, size] : llvm::zip(getNames(), getSizes())) {
    below /= size;
    if (name == axis) return rank / below % size;
  }
  return 0;
}

// ---- cut ---------------------------------------------------------------------------------------

// One coordinate's ranges: 0:4+8:12.
static ParseResult parseRanges(AsmParser& parser, SmallVectorImpl<int64_t>& flat) {
  do {
    int64_t begin = 0, end = 0;
    if (parser.parseInteger(begin) || parser.parseColon() || parser.parseInteger(end)) {
      return failure();
    }
    flat.append({begin, end});
  } while (succeeded(parser.parseOptionalPlus()));
  return success();
}

Attribute CutAttr::parse(AsmParser& parser, Type) {
  MLIRContext* context = parser.getContext();
  StringRef axis;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&axis)) return {};
  if (axis == "_") return CutAttr::get(context, StringAttr(), {});
  SmallVector<DenseI64ArrayAttr> ranges;
  if (succeeded(parser.parseOptionalLBrace())) {
    do {
      SmallVector<int64_t> flat;
      if (parseRanges(parser, flat)) return {};
      ranges.push_back(DenseI64ArrayAttr::get(context, flat));
    } while (succeeded(parser.parseOptionalComma()));
    if (parser.parseRBrace()) return {};
  }
  return CutAttr::getChecked([&] { return parser.emitError(loc); }, context,
                             StringAttr::get(context, axis), ranges);
}

void CutAttr::print(AsmPrinter& printer) const {
  if (!isCut()) {
    printer << '_';
    return;
  }
  printer << getAxis().getValue();
  if (isEven()) return;
  printer << '{';
  llvm::interleaveComma(getRanges(), printer, [&](DenseI64ArrayAttr flat) {
    ArrayRef<int64_t> r = flat;
    for (size_t i = 0; i < r.size(); i += 2) {
      printer << (i ? "+" : "") << r[i] << ':' << r[i + 1];
    }
  });
  printer << '}';
}

LogicalResult CutAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError, StringAttr axis,
                              ArrayRef<DenseI64ArrayAttr> ranges) {
  if (!axis && !ranges.empty()) return emitError() << "ranges without an axis";
  for (DenseI64ArrayAttr flat : ranges) {
    ArrayRef<int64_t> r = flat;
    if (r.empty() || r.size() % 2) return emitError() << "a range has a begin and an end";
    for (size_t i = 0; i < r.size(); i += 2) {
      if (r[i] < 0 || r[i + 1] <= r[i] || (i && r[i] < r[i - 1])) {
        return emitError() << "range " << r[i] << ":" << r[i + 1]
                           << " is empty or out of order; ranges ascend and do not overlap";
      }
    }
  }
  return success();
}

// ---- placement ---------------------------------------------------------------------------------

bool PlacementAttr::isCut() const {
  return llvm::any_of(getCuts(), [](CutAttr cut) { return cut.isCut(); });
}

FailureOr<PlacementAttr> PlacementAttr::parseBare(AsmParser& parser, size_t rank) {
  MLIRContext* context = parser.getContext();
  SmallVector<CutAttr> cuts;
  SmallVector<StringAttr> partial;
  SMLoc loc = parser.getCurrentLocation();
  if (succeeded(parser.parseOptionalLSquare())) {
    auto one = [&]() -> ParseResult {
      auto cut = llvm::dyn_cast_or_null<CutAttr>(CutAttr::parse(parser, {}));
      if (!cut) return failure();
      cuts.push_back(cut);
      return success();
    };
    if (parser.parseCommaSeparatedList(one) || parser.parseRSquare()) return failure();
  }
  if (succeeded(parser.parseOptionalKeyword("partial"))) {
    do {
      StringRef axis;
      if (parser.parseKeyword(&axis)) return failure();
      partial.push_back(StringAttr::get(context, axis));
    } while (succeeded(parser.parseOptionalComma()));
  }
  if (cuts.empty()) cuts.assign(rank, CutAttr::get(context, StringAttr(), {}));
  auto result =
      PlacementAttr::getChecked([&] { return parser.emitError(loc); }, context, cuts, partial);
  if (!result) return failure();
  return result;
}

void PlacementAttr::printBare(AsmPrinter& printer) const {
  if (isCut() || !isPartial()) {
    printer << '[';
    llvm::interleaveComma(getCuts(), printer, [&](CutAttr cut) { cut.print(printer); });
    printer << ']' << (isPartial() ? " " : "");
  }
  if (isPartial()) {
    printer << "partial ";
    llvm::interleaveComma(getPartial(), printer, [&](StringAttr a) { printer << a.getValue(); });
  }
}

Attribute PlacementAttr::parse(AsmParser& parser, Type) {
  if (parser.parseLess()) return {};
  FailureOr<PlacementAttr> placement = parseBare(parser, 2);
  if (failed(placement) || parser.parseGreater()) return {};
  return *placement;
}

void PlacementAttr::print(AsmPrinter& printer) const {
  printer << '<';
  printBare(printer);
  printer << '>';
}

LogicalResult PlacementAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                                    ArrayRef<CutAttr> cuts, ArrayRef<StringAttr> partial) {
  SmallVector<StringAttr> axes(partial);
  for (CutAttr cut : cuts) {
    if (cut.isCut()) axes.push_back(cut.getAxis());
  }
  for (auto [i, axis] : llvm::enumerate(axes)) {
    if (llvm::is_contained(ArrayRef(axes).take_front(i), axis)) {
      return emitError() << "axis '" << axis.getValue() << "' occurs twice in a placement";
    }
  }
  return success();
}

}  // namespace dcc::dist
