#include "passes/Sharding.h"

#include <map>

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

namespace dcc {

using dist::CutAttr;
using nn::FactorDim;
using nn::FactorRule;
using nn::TensorType;

nn::TensorType cutByTokens(nn::TensorType whole, StringAttr axis) {
  MLIRContext* context = whole.getContext();
  SmallVector<dist::CutAttr> cuts{dist::CutAttr::get(context, axis, {}),
                                  dist::CutAttr::get(context, StringAttr(), {})};
  return whole.withPlacement(dist::placement(context, cuts));
}

std::string ruleBehind(Value value, SymbolTableCollection& symbols) {
  // Breadth is bounded by the residual stream: follow the first operand.
  for (Operation* op = value.getDefiningOp(); op; op = op->getOperand(0).getDefiningOp()) {
    if (auto layer = dyn_cast<nn::FactorRuleInterface>(op)) {
      for (FlatSymbolRefAttr ref : layer.weightRefs()) {
        auto weight = symbols.lookupNearestSymbolFrom<nn::WeightOp>(op, ref);
        if (weight && weight.getRule()) return weight.getRule()->str();
      }
    }
    if (op->getNumOperands() == 0) break;
  }
  return "";
}

namespace {

// How one factor is cut, and which operand (values, then weights) said so.
struct FactorCut {
  CutAttr cut;
  unsigned source;
};

std::string inWords(CutAttr cut) {
  if (!cut.isCut()) return "whole";
  return (cut.isEven() ? "cut over " : "cut unevenly over ") + cut.getAxis().getValue().str();
}

class Inference {
 public:
  Inference(nn::FactorRuleInterface op, SymbolTableCollection& symbols)
      : op_(op),
        symbols_(symbols),
        rule_(FactorRule::parse(op.factorRule())),
        mesh_(dist::meshOf(op)) {}

  Placements run() {
    if (!collectOperands() || !checkWhole() || !checkCovering() || !checkAxes()) {
      return std::move(out_);
    }
    llvm::SmallVector<StringAttr> partial;
    for (char factor : rule_.reduced) {
      auto known = factors_.find(factor);
      if (known == factors_.end() || !known->second.cut.isCut()) continue;
      if (!isDisjoint(known->second.cut)) {
        conflict(describe(known->second.source) +
                 " is held in part by several ranks, whose sum would count that part several "
                 "times; give the producer a rule that gathers (colwise_rep) or replicate");
        return std::move(out_);
      }
      partial.push_back(known->second.cut.getAxis());
    }
    if (!passPartialSums(partial)) return std::move(out_);
    for (auto [i, value] : llvm::enumerate(op_->getResults())) {
      SmallVector<CutAttr> cuts;
      auto type = cast<TensorType>(value.getType());
      for (auto [d, dim] : llvm::enumerate(rule_.results[i])) cuts.push_back(cutOf(dim, type, d));
      out_.results.push_back(dist::placement(op_->getContext(), cuts, partial));
    }
    return std::move(out_);
  }

 private:
  // Whether no index is held twice.
  static bool isDisjoint(CutAttr cut) {
    if (cut.isEven()) return true;
    SmallVector<std::pair<int64_t, int64_t>> all;
    for (DenseI64ArrayAttr flat : cut.getRanges()) {
      for (int64_t i = 0; i < flat.size(); i += 2) all.emplace_back(flat[i], flat[i + 1]);
    }
    llvm::sort(all);
    for (size_t i = 1; i < all.size(); ++i) {
      if (all[i].first < all[i - 1].second) return false;
    }
    return true;
  }

  bool conflict(const std::string& message) {
    out_.kind = Placements::kConflict;
    out_.message = message;
    return false;
  }

  // An operand for messages; only made when something is wrong.
  std::string describe(unsigned n) {
    if (n >= op_->getNumOperands()) {
      FlatSymbolRefAttr ref = op_.weightRefs()[n - op_->getNumOperands()];
      auto weight = symbols_.lookupNearestSymbolFrom<nn::WeightOp>(op_, ref);
      return "weight " + ref.getValue().str() + " (" + weight.getRule().value_or("no rule").str() +
             ")";
    }
    Operation* producer = op_->getOperand(n).getDefiningOp();
    std::string rule = ruleBehind(op_->getOperand(n), symbols_);
    return "the output of " + (producer ? nn::moduleOf(producer).str() : "the entry's input") +
           (rule.empty() ? "" : " (" + rule + ")");
  }

  bool collectOperands() {
    unsigned n = 0;
    for (Value value : op_->getOperands()) {
      if (!collect(n++, cast<TensorType>(value.getType()))) return false;
    }
    for (FlatSymbolRefAttr ref : op_.weightRefs()) {
      auto weight = symbols_.lookupNearestSymbolFrom<nn::WeightOp>(op_, ref);
      if (!weight) return conflict("uses '" + ref.getValue().str() + "', which is no weight");
      if (!collect(n++, weight.getType())) return false;
    }
    return true;
  }

  bool collect(unsigned source, TensorType type) {
    for (auto [i, dim] : llvm::enumerate(rule_.operands[source])) {
      CutAttr cut = type.cut(i);
      if (std::string wrong = dist::checkCut(cut, type.size(i), mesh_); !wrong.empty()) {
        return conflict(describe(source) + ": " + wrong);
      }
      if (dim.inner && cut.isCut()) {
        cut = outerCut(cut, type.constant(i), op_.factorSize(dim.inner));
        if (!cut) {
          return conflict(describe(source) + " is cut through a head; heads of " +
                          std::to_string(op_.factorSize(dim.inner)) + " stay whole");
        }
      }
      auto [known, added] = factors_.try_emplace(dim.outer, FactorCut{cut, source});
      if (added || known->second.cut == cut) continue;
      return conflict(describe(source) + " is " + inWords(cut) + " where " +
                      describe(known->second.source) + " is " + inWords(known->second.cut) + "; " +
                      remedy(known->second.cut, cut));
    }
    return true;
  }

  static std::string remedy(CutAttr first, CutAttr second) {
    if (first.isCut() && !second.isCut()) {
      return "give this module a rule that takes a cut input (rowwise), or the producer one that "
             "gathers (colwise_rep)";
    }
    if (!first.isCut() && second.isCut()) {
      return "give this module a rule that takes a whole input (colwise, rowwise_rep), or the "
             "producer one that gives a cut output (colwise)";
    }
    return "give both the same cut";
  }

  // The cut of h in a dimension (h d); null when it goes through a block of d.
  CutAttr outerCut(CutAttr cut, int64_t size, int64_t inner) {
    dist::CutRanges ranges = dist::rangesOf(cut, size, *mesh_.sizeOf(cut.getAxis()));
    for (dist::Ranges& coordinate : ranges) {
      for (dist::Range& r : coordinate) {
        if (r.begin % inner || r.end % inner) return {};
        r = {r.begin / inner, r.end / inner};
      }
    }
    return dist::cutOf(cut.getAxis(), ranges, size / inner);
  }

  CutAttr cutOf(FactorDim dim, TensorType type, size_t i) {
    auto known = factors_.find(dim.outer);
    if (known == factors_.end()) return CutAttr::get(op_->getContext(), StringAttr(), {});
    CutAttr cut = known->second.cut;
    if (!dim.inner || !cut.isCut()) return cut;
    int64_t inner = op_.factorSize(dim.inner);
    dist::CutRanges ranges =
        dist::rangesOf(cut, type.constant(i) / inner, *mesh_.sizeOf(cut.getAxis()));
    for (dist::Ranges& coordinate : ranges) {
      for (dist::Range& r : coordinate) r = {r.begin * inner, r.end * inner};
    }
    return dist::cutOf(cut.getAxis(), ranges, type.constant(i));
  }

  bool checkWhole() {
    for (char factor : rule_.whole) {
      auto known = factors_.find(factor);
      if (known == factors_.end() || !known->second.cut.isCut()) continue;
      return conflict(describe(known->second.source) + " is " + inWords(known->second.cut) +
                      " where it is needed whole; give the producer a rule that gathers "
                      "(colwise_rep) or replicate");
    }
    return true;
  }

  // h = g r: every coordinate's query heads find their KV heads on the same rank.
  bool checkCovering() {
    if (!rule_.covering) return true;
    const FactorCut& h = factors_[rule_.covering];
    const FactorCut& g = factors_[rule_.covered];
    if (!h.cut.isCut() && !g.cut.isCut()) return true;
    int64_t heads = factorSize(rule_.covering), kv = factorSize(rule_.covered);
    StringAttr axis = h.cut.isCut() ? h.cut.getAxis() : g.cut.getAxis();
    int64_t ranks = *mesh_.sizeOf(axis);
    bool one_axis = !h.cut.isCut() || !g.cut.isCut() || h.cut.getAxis() == g.cut.getAxis();
    auto paired = [&](int64_t i) {
      SmallVector<int64_t> own = unitsOf(h.cut, heads, axis, i), keys = unitsOf(g.cut, kv, axis, i);
      return nn::pairsEvenly(keys, own, heads / kv) || nn::pairsInOrder(keys, own, heads / kv);
    };
    if (one_axis && llvm::all_of(llvm::seq<int64_t>(0, ranks), paired)) return true;
    return conflict(describe(h.source) + " is " + inWords(h.cut) + ", " + describe(g.source) +
                    " is " + inWords(g.cut) +
                    "; every rank needs its query heads' KV heads, so give both the same rule");
  }

  // The blocks that a coordinate of an axis has of `size`.
  SmallVector<int64_t> unitsOf(CutAttr cut, int64_t size, StringAttr axis, int64_t coordinate) {
    if (cut.getAxis() != axis) return llvm::to_vector(llvm::seq<int64_t>(0, size));
    dist::CutRanges ranges = dist::rangesOf(cut, size, *mesh_.sizeOf(axis));
    SmallVector<int64_t> units;
    for (dist::Range r : ranges[coordinate]) llvm::append_range(units, llvm::seq(r.begin, r.end));
    return units;
  }

  // An axis can cut only one factor, but for heads and the KV heads that go with them.
  bool checkAxes() {
    for (auto& [factor, known] : factors_) {
      for (auto& [other, first] : factors_) {
        if (other == factor) break;
        if (!known.cut.isCut() || known.cut.getAxis() != first.cut.getAxis()) continue;
        if (rule_.covering && (factor == rule_.covering || other == rule_.covering)) continue;
        return conflict(describe(first.source) + " and " + describe(known.source) +
                        " are cut along different dimensions over " +
                        known.cut.getAxis().getValue().str() +
                        "; give one of them a rule that gathers (colwise_rep) or replicate");
      }
    }
    return true;
  }

  // Number of blocks of a factor, from the first operand dimension that has it.
  int64_t factorSize(char factor) {
    for (auto [n, dims] : llvm::enumerate(rule_.operands)) {
      for (auto [i, dim] : llvm::enumerate(dims)) {
        if (dim.outer != factor) continue;
        return cast<TensorType>(op_->getOperand(n).getType()).constant(i) /
               (dim.inner ? op_.factorSize(dim.inner) : 1);
      }
    }
    return 1;
  }

  // Partial operands: passed on where the op is linear in them, else to be summed first.
  bool passPartialSums(SmallVectorImpl<StringAttr>& partial) {
    bool all = true;
    ArrayRef<StringAttr> axes;
    for (unsigned i : rule_.linear) {
      auto type = cast<TensorType>(op_->getOperand(i).getType());
      ArrayRef<StringAttr> own =
          type.isPartial() ? type.getPlacement().getPartial() : ArrayRef<StringAttr>();
      if (i != rule_.linear.front() && own != axes) all = false;
      axes = own;
    }
    // A bias is added once, not once per rank; an axis can't both cut the result and be summed
    // over.
    bool linear = all && !rule_.linear.empty() && !op_->hasAttr("bias");
    for (auto& [factor, known] : factors_) {
      if (known.cut.isCut() && llvm::is_contained(axes, known.cut.getAxis())) linear = false;
    }
    for (auto [i, value] : llvm::enumerate(op_->getOperands())) {
      auto type = cast<TensorType>(value.getType());
      if (type.isPartial() && !(linear && llvm::is_contained(rule_.linear, i))) {
        out_.kind = Placements::kPartialOperand;
        out_.operand = i;
        return false;
      }
    }
    if (linear) partial.append(axes.begin(), axes.end());
    return true;
  }

  nn::FactorRuleInterface op_;
  SymbolTableCollection& symbols_;
  FactorRule rule_;
  dist::MeshAttr mesh_;
  std::map<char, FactorCut> factors_;
  Placements out_;
};

}  // namespace

Placements inferPlacements(nn::FactorRuleInterface op, SymbolTableCollection& symbols) {
  return Inference(op, symbols).run();
}

}  // namespace dcc
