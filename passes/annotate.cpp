// annotate: cut the weights as the tp_plan says.
//
// A rule is looked up as Hugging Face does: the parameter's path with numbers as `*`, then its
// module's. A weight with several uses (a tied head) must get the same cut from each.
#include "passes/Passes.h"
#include "passes/Strategy.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallSet.h"
#include "llvm/ADT/StringExtras.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_ANNOTATE
#include "passes/Passes.h.inc"

namespace {

// "model.layers.3.mlp" -> "model.layers.*.mlp"
std::string generalize(StringRef path) {
  SmallVector<StringRef> parts;
  path.split(parts, '.');
  for (StringRef& part : parts) {
    if (!part.empty() && llvm::all_of(part, llvm::isDigit)) part = "*";
  }
  return llvm::join(parts, ".");
}

struct Rule {
  nn::RuleAttr attr;
  const Strategy* strategy = nullptr;
  bool used = false;

  bool isUsers() const { return attr.getOrigin() != "auto"; }
  std::string text() const {
    return attr.getPattern().str() + " = " + attr.getStrategy().str() + " (" +
           attr.getOrigin().str() + ")";
  }
};

// One use of a weight by a layer.
struct Use {
  nn::FactorRuleInterface op;
  Rule* rule;                    // null: no rule covers it
  std::optional<int> dimension;  // of the weight, cut
};

class Annotator {
 public:
  Annotator(ModuleOp module)
      : module_(module),
        symbols_(module),
        mesh_(dist::meshOf(module)),
        axis_(StringAttr::get(module.getContext(), "tp")),
        ranks_(mesh_.sizeOf(axis_).value_or(1)) {}

  LogicalResult run() {
    if (failed(readRules())) return failure();
    module_.walk([&](nn::FactorRuleInterface op) {
      unsigned position = 0;
      for (FlatSymbolRefAttr ref : op.weightRefs()) addUse(op, ref, position++);
    });
    if (failed(checkRules()) || failed(checkSiblings())) return failure();
    for (auto& [weight, uses] : uses_) {
      if (failed(cut(weight, uses))) return failure();
    }
    if (ranks_ > 1) addReshards();
    return success();
  }

 private:
  LogicalResult readRules() {
    auto plan = module_->getAttrOfType<ArrayAttr>("nn.tp_plan");
    if (!plan) return success();
    for (auto attr : plan.getAsRange<nn::RuleAttr>()) {
      const Strategy* strategy = findStrategy(attr.getStrategy().getValue());
      if (!strategy) {
        return emitError(NameLoc::get(attr.getOrigin()))
               << "tp_plan names the strategy '" << attr.getStrategy().getValue() << "' for '"
               << attr.getPattern().getValue() << "'; there are " << strategyNames();
      }
      rules_.push_back({attr, strategy});
    }
    return success();
  }

  // The last rule of that pattern wins, so that --tp-rule amends. A pattern may leave out the base
  // model's prefix, as the plans of configuration classes do.
  Rule* find(StringRef path) {
    std::string general = generalize(path);
    for (Rule& rule : llvm::reverse(rules_)) {
      StringRef pattern = rule.attr.getPattern().getValue();
      if (pattern == general || pattern == path || "model." + pattern.str() == general) {
        return &rule;
      }
    }
    return nullptr;
  }

  void addUse(nn::FactorRuleInterface op, FlatSymbolRefAttr ref, unsigned position) {
    auto weight = symbols_.lookup<nn::WeightOp>(ref.getValue());
    if (!weight) return;  // verified elsewhere
    StringRef module = nn::moduleOf(op);
    bool bias = isa<nn::AddBiasOp>(op.getOperation()) || position == 1;
    Rule* rule = find((module + (bias ? ".bias" : ".weight")).str());
    if (!rule) rule = find(module);
    if (rule) {
      for (Rule& other : rules_) other.used |= other.attr.getPattern() == rule->attr.getPattern();
    }
    Use use{op, rule, std::nullopt};
    if (rule) {
      bool embedding = isa<nn::EmbeddingOp>(op.getOperation());
      use.dimension = weight.getType().rank() == 1 ? rule->strategy->bias
                      : embedding                  ? rule->strategy->embedding
                                                   : rule->strategy->linear;
    }
    uses_[weight].push_back(use);
  }

  LogicalResult checkRules() {
    for (Rule& rule : rules_) {
      if (rule.used || !rule.isUsers()) continue;
      StringRef pattern = rule.attr.getPattern().getValue();
      std::string nearest;
      unsigned best = ~0u;
      for (auto& [weight, uses] : uses_) {
        for (Use& use : uses) {
          std::string general = generalize(nn::moduleOf(use.op));
          if (unsigned d = pattern.edit_distance(general); d < best) {
            best = d;
            nearest = general;
          }
        }
      }
      return emitError(NameLoc::get(rule.attr.getOrigin()))
             << "the rule '" << pattern << "' matches no module of the model; did you mean '"
             << nearest << "'?";
    }
    return success();
  }

  // In a plan of the user's, a matrix without a rule next to covered ones is a slip.
  LogicalResult checkSiblings() {
    if (llvm::none_of(rules_, [](const Rule& rule) { return rule.isUsers(); })) return success();
    llvm::StringMap<std::string> covered;  // parent -> rule
    auto parentOf = [](Use& use) { return nn::moduleOf(use.op).rsplit('.').first; };
    for (auto& [weight, uses] : uses_) {
      for (Use& use : uses) {
        if (use.rule && weight.getType().rank() > 1) covered[parentOf(use)] = use.rule->text();
      }
    }
    for (auto& [weight, uses] : uses_) {
      for (Use& use : uses) {
        if (use.rule || weight.getType().rank() < 2 || !nn::moduleOf(use.op).contains('.'))
          continue;
        auto sibling = covered.find(parentOf(use));
        if (sibling == covered.end()) continue;
        return use.op->emitError() << "has no rule, but its siblings do (" << sibling->second
                                   << "); give it one, or replicate";
      }
    }
    return success();
  }

  // ---- cuts -------------------------------------------------------------------------------------

  // The cut of a dimension over `ranks` coordinates; nothing when they don't divide it.
  std::optional<dist::CutAttr> cutFor(nn::WeightOp weight, int dimension, int64_t ranks) {
    int64_t size = weight.getType().constant(dimension);
    int64_t units = dimension == 0 && weight.getHeads() ? *weight.getHeads() : size;
    if (units % ranks == 0) return dist::CutAttr::get(module_.getContext(), axis_, {});
    if (!weight.getShared() || ranks % units != 0) return std::nullopt;
    SmallVector<dist::Ranges> ranges(ranks);
    for (int64_t i = 0; i < ranks; ++i) {
      int64_t unit = i * units / ranks;
      ranges[i].push_back({size / units * unit, size / units * (unit + 1)});
    }
    return dist::cutOf(axis_, ranges, size);
  }

  std::string workingDegrees() {
    int64_t most = 1;
    for (auto& [weight, uses] : uses_) {
      if (uses.front().dimension)
        most = std::max(most, weight.getType().constant(*uses.front().dimension));
    }
    std::string list;
    for (int64_t ranks = 1; ranks <= std::min<int64_t>(most, 4096); ++ranks) {
      bool all = llvm::all_of(uses_, [&](auto& entry) {
        std::optional<int> dimension = entry.second.front().dimension;
        return !dimension || cutFor(entry.first, *dimension, ranks);
      });
      if (all) list += (list.empty() ? "" : ", ") + std::to_string(ranks);
    }
    return list;
  }

  LogicalResult cut(nn::WeightOp weight, ArrayRef<Use> uses) {
    const Use& first = uses.front();
    for (const Use& use : uses.drop_front()) {
      if (use.dimension == first.dimension) continue;
      auto describe = [&](const Use& u) {
        return (u.rule ? u.rule->text() : "no rule for " + nn::moduleOf(u.op).str()) +
               (u.dimension ? " cuts dimension " + std::to_string(*u.dimension)
                            : " keeps it whole");
      };
      return use.op->emitError() << "shares its weight " << weight.getSymName() << " with "
                                 << nn::moduleOf(first.op) << ", but " << describe(first) << " and "
                                 << describe(use) << "; give both the same cut";
    }
    if (first.rule) {
      weight.setRule(first.rule->text());
    }
    if (!first.dimension || ranks_ == 1) return success();
    std::optional<dist::CutAttr> cut = cutFor(weight, *first.dimension, ranks_);
    if (!cut) {
      int64_t size = weight.getType().constant(*first.dimension);
      bool heads = *first.dimension == 0 && weight.getHeads();
      return first.op->emitError() << (heads ? std::to_string(*weight.getHeads()) + " heads"
                                             : "size " + std::to_string(size))
                                   << " can't be cut over --tp " << ranks_
                                   << "; degrees that work for this model: " << workingDegrees();
    }
    SmallVector<dist::CutAttr> cuts(weight.getType().rank(),
                                    dist::CutAttr::get(module_.getContext(), StringAttr(), {}));
    cuts[*first.dimension] = *cut;
    weight.setType(weight.getType().withPlacement(dist::placement(module_.getContext(), cuts)));
    return success();
  }

  // ---- what strategies ask of inputs and outputs ------------------------------------------------

  void addReshards() {
    llvm::SmallSet<Operation*, 16> done;
    for (auto& [weight, uses] : uses_) {
      for (Use& use : uses) {
        if (!use.rule || weight.getType().rank() == 1 || !done.insert(use.op).second) continue;
        StringAttr because = StringAttr::get(module_.getContext(), use.rule->text());
        if (use.rule->strategy->split_input && isa<nn::LinearOp>(use.op.getOperation())) {
          splitInput(cast<nn::LinearOp>(use.op.getOperation()), because);
        }
        if (use.rule->strategy->gather_output) gatherOutput(use.op->getResult(0), because);
      }
    }
  }

  void splitInput(nn::LinearOp op, StringAttr because) {
    OpBuilder builder(op);
    dist::CutAttr whole = dist::CutAttr::get(op.getContext(), StringAttr(), {});
    dist::CutAttr cut = dist::CutAttr::get(op.getContext(), axis_, {});
    auto to = dist::placement(op.getContext(), {whole, cut});
    op.getXMutable().assign(
        builder.create<dist::ReshardOp>(op.getLoc(), op.getX().getType(), op.getX(), to, because));
  }

  // After the bias, if one follows.
  void gatherOutput(Value value, StringAttr because) {
    if (value.hasOneUse()) {
      if (auto bias = dyn_cast<nn::AddBiasOp>(*value.user_begin())) value = bias.getResult();
    }
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    auto gathered = builder.create<dist::ReshardOp>(value.getLoc(), value.getType(), value,
                                                    dist::PlacementAttr(), because);
    value.replaceAllUsesExcept(gathered.getResult(), gathered);
  }

  ModuleOp module_;
  SymbolTable symbols_;
  dist::MeshAttr mesh_;
  StringAttr axis_;
  int64_t ranks_;
  std::vector<Rule> rules_;
  llvm::MapVector<nn::WeightOp, SmallVector<Use>> uses_;
};

struct Annotate : impl::AnnotateBase<Annotate> {
  void runOnOperation() override {
    if (failed(Annotator(getOperation()).run())) signalPassFailure();
  }
};

}  // namespace
}  // namespace dcc
