// fix-sums: with invariant numerics, what the tp_plan cuts of a sum is summed alike at every
// degree.
//
// A product whose weight's k some rule cuts runs over kParts equal parts of k, whose sums are added
// as a balanced tree: ranks that have neighbouring parts have subtrees, and the sum over ranks
// (Reduction.tree_sum) is the rest of the tree. Experts keep a sum for each part of their width or
// for each group of experts. Whether a degree cuts anything plays no part, so that one rank alone
// sums alike. Such results are f32, as partial sums are, for one rounding would else come before
// the sum over ranks or after it.
#include "llvm/ADT/TypeSwitch.h"
#include "mlir/IR/SymbolTable.h"
#include "passes/Passes.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_FIXSUMS
#include "passes/Passes.h.inc"

namespace {

constexpr int64_t kParts = 8;

class Fixer {
 public:
  explicit Fixer(ModuleOp module) : module_(module), symbols_(module) {}

  LogicalResult run() {
    WalkResult walked = module_.walk([&](nn::FactorRuleInterface op) {
      LogicalResult fixed = llvm::TypeSwitch<Operation*, LogicalResult>(op)
                                .Case<nn::LinearOp, nn::ExpertsOp, nn::EmbeddingOp>(
                                    [&](auto sum) { return fix(sum); })
                                .Default(success());
      return failed(fixed) ? WalkResult::interrupt() : WalkResult::advance();
    });
    return failure(walked.wasInterrupted());
  }

 private:
  LogicalResult fix(nn::LinearOp op) {
    FailureOr<bool> cut = isSummed(op, op.getWeight(), 1);
    if (failed(cut) || !*cut) return cut;
    op.setChunks(kParts);
    widen(op.getResult());
    return success();
  }

  LogicalResult fix(nn::ExpertsOp op) {
    FailureOr<bool> experts = isSummed(op, op.getDown(), 0), width = isSummed(op, op.getDown(), 2);
    if (failed(experts) || failed(width)) return failure();
    if (*experts) op.setGroups(kParts);
    if (*width) op.setChunks(kParts);
    return success();
  }

  // All terms but one are 0: any order is right.
  LogicalResult fix(nn::EmbeddingOp op) {
    if (cutByRule(weightOf(op.getWeight())) == 0) widen(op.getResult());
    return success();
  }

  // Whether a rule cuts the dimension of the weight, over which `op` sums. Ranks must then have
  // whole parts, equally many each.
  FailureOr<bool> isSummed(Operation* op, StringRef name, int dimension) {
    nn::WeightOp weight = weightOf(name);
    nn::TensorType type = weight.getType();
    dist::CutAttr cut = type.cut(dimension);
    if (cutByRule(weight) != dimension) {
      if (!cut.isCut()) return false;
      return op->emitError() << "is cut by a library (" << weight.getRule().value_or("no rule")
                             << "), and its sums may differ from degree to degree; --numerics "
                                "invariant takes strategies of `dcc strategies`";
    }
    int64_t size = type.constant(dimension);
    if (size % kParts != 0) {
      return op->emitError() << "sums over " << size << ", which --numerics invariant cuts into "
                             << kParts << " equal parts; --numerics fast is right";
    }
    if (!cut.isCut()) return true;
    int64_t ranks = *dist::meshOf(op).sizeOf(cut.getAxis());
    for (auto [i, own] : llvm::enumerate(dist::rangesOf(cut, size, ranks))) {
      int64_t begin = size * int64_t(i) / ranks, end = size * int64_t(i + 1) / ranks;
      if (kParts % ranks == 0 && own == dist::Ranges{{begin, end}}) continue;
      return op->emitError() << "sums over " << size << ", which --numerics invariant cuts into "
                             << kParts << " parts of " << size / kParts << ", and --"
                             << cut.getAxis().getValue() << " " << ranks << " cuts elsewhere ("
                             << weight.getRule().value_or("no rule")
                             << "); a degree of 1, 2, 4 or 8 that divides the heads is right";
    }
    return true;
  }

  nn::WeightOp weightOf(StringRef name) { return symbols_.lookup<nn::WeightOp>(name); }

  // What annotate has left: the dimension that the weight's rule cuts, at whatever degree.
  static std::optional<int64_t> cutByRule(nn::WeightOp weight) {
    auto cuts = weight->getAttrOfType<IntegerAttr>("nn.cuts");
    return cuts ? std::optional(cuts.getInt()) : std::nullopt;
  }

  static void widen(Value result) {
    auto type = cast<nn::TensorType>(result.getType());
    result.setType(
        nn::TensorType::get(type.getContext(), type.getDims(), Float32Type::get(type.getContext()))
            .withPlacement(type.getPlacement()));
  }

  ModuleOp module_;
  SymbolTable symbols_;
};

struct FixSums : impl::FixSumsBase<FixSums> {
  void runOnOperation() override {
    if (nn::isInvariant(getOperation()) && failed(Fixer(getOperation()).run())) signalPassFailure();
  }
};

}  // namespace
}  // namespace dcc
