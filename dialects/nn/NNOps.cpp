// Verifiers of the nn ops. Shapes are checked once for all layers, by their factor rules.
#include "dialects/nn/NN.h"

#include "dialects/nn/Local.h"
#include "runtime/plan/kernels.h"

using namespace mlir;

#define GET_OP_CLASSES
#include "dialects/nn/NNOps.cpp.inc"

namespace dcc::nn {

void printFloats(OpAsmPrinter& printer, Operation*, DenseF32ArrayAttr values) {
  printer << '[';
  llvm::interleaveComma(values.asArrayRef(), printer,
                        [&](float value) { printFloat(printer, value); });
  printer << ']';
}

ParseResult parseFloats(OpAsmParser& parser, DenseF32ArrayAttr& values) {
  SmallVector<float> floats;
  auto one = [&]() -> ParseResult {
    double value = 0;
    if (parser.parseFloat(value)) return failure();
    floats.push_back(float(value));
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, one)) return failure();
  values = DenseF32ArrayAttr::get(parser.getContext(), floats);
  return success();
}

// ---- factors -----------------------------------------------------------------------------------

namespace {
// Sizes of factors seen so far in one op.
class FactorSizes {
 public:
  FactorSizes(Operation* op) : op_(op), layer_(cast<FactorRuleInterface>(op)) {}

  LogicalResult add(ArrayRef<FactorDim> dims, TensorType type, const Twine& what) {
    if (dims.size() != type.rank()) {
      return op_->emitOpError() << what << " has " << type.rank() << " dimensions, not "
                                << dims.size();
    }
    for (auto [i, dim] : llvm::enumerate(dims)) {
      Attribute size = type.getDims()[i];
      if (dim.inner) {
        int64_t inner = layer_.factorSize(dim.inner);
        std::optional<int64_t> whole = type.size(i);
        if (inner < 1 || !whole || *whole % inner) {
          return op_->emitOpError()
                 << what << ": " << size << " does not run over blocks of " << inner;
        }
        size = sizeAttr(op_->getContext(), *whole / inner);
      }
      auto [known, added] = sizes_.try_emplace(dim.outer, size);
      if (!added && known->second != size) {
        InFlightDiagnostic diag = op_->emitOpError() << what << " has ";
        return diag << size << " where another operand has " << known->second << " (dimension " << i
                    << ")";
      }
    }
    return success();
  }

  // `h = g r`: whole groups of query heads share a KV head.
  LogicalResult checkCovering(const FactorRule& rule) {
    if (!rule.covering || op_->hasAttr("pairing")) return success();
    auto h = cast<IntegerAttr>(sizes_.lookup(rule.covering)).getInt();
    auto g = cast<IntegerAttr>(sizes_.lookup(rule.covered)).getInt();
    if (h % g == 0) return success();
    return op_->emitOpError() << h << " heads do not divide over " << g << " KV heads";
  }

 private:
  Operation* op_;
  FactorRuleInterface layer_;
  llvm::DenseMap<char, Attribute> sizes_;
};
}  // namespace

LogicalResult verifyFactors(Operation* op, SymbolTableCollection& symbols) {
  auto layer = cast<FactorRuleInterface>(op);
  FactorRule rule = FactorRule::parse(layer.factorRule());
  FactorSizes sizes(op);
  unsigned n = 0;
  for (Value value : op->getOperands()) {
    auto type = cast<TensorType>(value.getType());
    if (failed(sizes.add(rule.operands[n], type, "operand " + Twine(n)))) return failure();
    ++n;
  }
  for (FlatSymbolRefAttr ref : layer.weightRefs()) {
    auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(op, ref);
    if (!weight) return op->emitOpError() << "uses " << ref << ", which is no weight";
    auto type = weight.getType();
    // A vector is stored as [1, n] or [n]; rules speak of [n].
    if (failed(sizes.add(rule.operands[n], type, "weight '" + ref.getValue() + "'"))) {
      return failure();
    }
    ++n;
  }
  for (auto [i, value] : llvm::enumerate(op->getResults())) {
    auto type = cast<TensorType>(value.getType());
    if (failed(sizes.add(rule.results[i], type, "result " + Twine(i)))) return failure();
  }
  return sizes.checkCovering(rule);
}

bool pairsEvenly(ArrayRef<int64_t> kv, ArrayRef<int64_t> heads, int64_t group) {
  if (kv.empty() || heads.size() % kv.size() != 0) return false;
  size_t own = heads.size() / kv.size();
  return llvm::all_of(llvm::seq<size_t>(0, heads.size()),
                      [&](size_t i) { return heads[i] / group == kv[i / own]; });
}

bool pairsInOrder(ArrayRef<int64_t> kv, ArrayRef<int64_t> heads, int64_t group) {
  auto neighbours = [](ArrayRef<int64_t> list) {
    return !list.empty() && list.back() - list.front() + 1 == int64_t(list.size()) &&
           llvm::is_sorted(list);
  };
  return neighbours(kv) && neighbours(heads) && heads.front() / group == kv.front() &&
         heads.back() / group == kv.back();
}

// ---- single ops --------------------------------------------------------------------------------

LogicalResult WeightOp::verify() {
  TensorType whole = getWhole().value_or(getType());
  int64_t rows = 0;
  for (size_t i = 0; i < whole.rank(); ++i) {
    if (!whole.size(i)) return emitOpError() << "has a size known only at run time";
  }
  for (auto source : getSources().getAsRange<SourceAttr>()) {
    // One of an experts' weight may be the matrix of one expert.
    SmallVector<int64_t> shape(source.getShape());
    if (whole.rank() == 3 && shape.size() == 2) shape.insert(shape.begin(), 1);
    bool fits = shape.size() == whole.rank();
    for (size_t i = 1; fits && i < shape.size(); ++i) fits = shape[i] == whole.constant(i);
    if (!fits) {
      return emitOpError() << "has a source '" << source.getTensor().getValue()
                           << "' whose shape does not fit its own";
    }
    rows += shape[0];
  }
  if (rows != whole.constant(0)) {
    return emitOpError() << "has " << whole.constant(0) << " rows, its sources " << rows;
  }
  if (getWhole() && failed(verifyLocal(*this, getType(), whole))) return failure();
  if (auto heads = getHeads(); heads && (*heads < 1 || whole.constant(0) % *heads)) {
    return emitOpError() << "has " << whole.constant(0) << " rows, which " << *heads
                         << " heads do not divide";
  }
  return success();
}

LogicalResult CacheOp::verify() {
  if (getHeads() < 1 || getKDim() < 1 || getVDim() < 1) {
    return emitOpError() << "needs at least one head and positive sizes";
  }
  return success();
}

LogicalResult LinearOp::verify() {
  if (getBias() && getResult().getType().isPartial()) {
    return emitOpError() << "would add its bias once per rank; a partial sum takes no bias";
  }
  return success();
}

LogicalResult FrequenciesOp::verify() {
  if (getBeyond() && (getBeyond()->size() != getValues().size() || *getOriginal() < 1)) {
    return emitOpError() << "has " << getBeyond()->size() << " frequencies beyond position "
                         << *getOriginal() << ", and " << getValues().size() << " before";
  }
  return success();
}

LogicalResult AttentionOp::verify() {
  if (getWindow() && getChunk()) {
    return emitOpError() << "sees either a window of tokens or those of its chunk";
  }
  if (!getCache() && (getWindow() || getChunk() || getSinks())) {
    return emitOpError() << "without a cache sees whole sequences; window, chunk and sinks go with "
                            "a cache";
  }
  return success();
}

LogicalResult SliceHeadsOp::verify() {
  if (getSize() < 1 || getSize() > getHeadDim() || getFirst() > getHeadDim() - getSize()) {
    return emitOpError() << "takes columns " << getFirst() << " to " << getFirst() + getSize()
                         << " of heads of " << getHeadDim();
  }
  return success();
}

LogicalResult ScaleRowsOp::verify() {
  if (getFactors().getType().size(1) == 1) return success();
  return emitOpError() << "has one factor a row, not " << getFactors().getType();
}

LogicalResult RouteOp::verify() {
  std::optional<int64_t> experts = getLogits().getType().size(1);
  if (!experts || getK() < 1 || int64_t(getK()) > *experts) {
    return emitOpError() << "can't choose " << getK() << " of " << experts.value_or(0)
                         << " experts";
  }
  if (!plan::scoresNamed(std::string_view(getScores()))) {
    return emitOpError() << "knows no scores '" << getScores() << "'; it knows softmax, sigmoid";
  }
  if (!getGroups()) return success();
  int64_t groups = *getGroups(), live = *getLive(), best = *getBest();
  if (groups < 1 || *experts % groups || live < 1 || live > groups || best < 1 ||
      best > *experts / groups || int64_t(getK()) > live * (*experts / groups)) {
    return emitOpError() << "can't choose " << getK() << " of " << *experts << " experts from "
                         << live << " of " << groups << " groups by their " << best << " best";
  }
  return success();
}

static LogicalResult verifyFunction(Operation* op, StringRef function) {
  if (plan::functionNamed(std::string_view(function))) return success();
  return op->emitOpError() << "knows no function '" << function << "'; it knows "
                           << plan::functionNames();
}

LogicalResult ExpertsOp::verify() {
  if (getLimit() && getFunction() != "silu") {
    return emitOpError() << "clamps with silu only, not " << getFunction();
  }
  return verifyFunction(*this, getFunction());
}

LogicalResult ActivationOp::verify() { return verifyFunction(*this, getFunction()); }
LogicalResult GatedActivationOp::verify() { return verifyFunction(*this, getFunction()); }

LogicalResult PoolOp::verify() {
  if (getHow() == "first" || getHow() == "mean") return success();
  return emitOpError() << "knows no '" << getHow() << "'; it knows first, mean";
}

LogicalResult SplitOp::verify() {
  TensorType whole = getX().getType();
  int64_t columns = 0;
  for (Value part : getParts()) {
    auto type = cast<TensorType>(part.getType());
    if (type.rank() != 2 || whole.rank() != 2 || type.getDims()[0] != whole.getDims()[0]) {
      return emitOpError() << "splits columns: parts have the rows of the whole";
    }
    columns += type.size(1).value_or(0);
  }
  if (whole.size(1) != columns) {
    return emitOpError() << "has parts of " << columns << " columns, not " << whole;
  }
  return success();
}

}  // namespace dcc::nn
