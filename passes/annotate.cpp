// annotate: cut the weights as the tp_plan says.
//
// A rule is looked up as Hugging Face does: the parameter's path with numbers as `*`, then its
// module's. A weight whose uses want different cuts (a tied head) becomes one weight for each cut.
#include "passes/Cuts.h"
#include "passes/Passes.h"
#include "passes/Strategy.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"
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

  bool isUsers() const {
    return attr.getOrigin() != "auto" && attr.getOrigin() != "--expert-parallel";
  }
  std::string text() const {
    return attr.getPattern().str() + " = " + attr.getStrategy().str() + " (" +
           attr.getOrigin().str() + ")";
  }
};

// How a rule wants a weight cut.
struct Request {
  const plugin::Strategy* library = nullptr;  // which decides it
  std::optional<int> dimension;               // none: whole
  bool packed = false;
  bool by_heads = false;  // the first dimension's heads stay whole
  bool operator==(const Request&) const = default;
};

// One use of a weight by a layer.
struct Use {
  nn::FactorRuleInterface op;
  Rule* rule;  // null: no rule covers it
  Request request;
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
    if (failed(readStrategies()) || failed(readRules())) return failure();
    module_.walk([&](nn::FactorRuleInterface op) {
      unsigned position = 0;
      for (FlatSymbolRefAttr ref : op.weightRefs()) addUse(op, ref, position++);
    });
    module_.walk([&](nn::FactorRuleInterface op) { addModules(op); });
    if (failed(checkRules()) || failed(checkSiblings())) return failure();
    separateUses();
    for (auto& [weight, uses] : uses_) {
      if (failed(cut(weight, uses))) return failure();
    }
    if (ranks_ > 1) addReshards();
    return success();
  }

 private:
  // Strategies that the plan declares itself.
  LogicalResult readStrategies() {
    auto own = module_->getAttrOfType<ArrayAttr>("nn.strategies");
    if (!own) return success();
    for (auto attr : own.getAsRange<nn::StrategyAttr>()) {
      std::optional<Layout> layouts[] = {layoutNamed(attr.getArrives()),
                                         layoutNamed(attr.getInput()),
                                         layoutNamed(attr.getOutput())};
      if (!llvm::all_of(layouts, [](auto layout) { return layout.has_value(); }) ||
          attr.getWeight() < -1 || attr.getWeight() > 1 || attr.getBias() < -1 ||
          attr.getBias() > 0) {
        return module_.emitError()
               << "declares the strategy '" << attr.getName().getValue()
               << "' with a dimension or layout that does not exist; "
                  "dimensions are -1 to 1, layouts any, whole, features, tokens";
      }
      Strategy strategy;
      strategy.name = std::string_view(attr.getName().getValue());
      if (attr.getWeight() >= 0) strategy.linear = strategy.embedding = int(attr.getWeight());
      if (attr.getBias() >= 0) strategy.vector = int(attr.getBias());
      strategy.packed = attr.getPacked();
      strategy.arrives = *layouts[0];
      strategy.input = *layouts[1];
      strategy.output = *layouts[2];
      own_.push_back(strategy);
    }
    return success();
  }

  static std::optional<Layout> layoutNamed(StringAttr name) {
    return llvm::StringSwitch<std::optional<Layout>>(name.getValue())
        .Case("any", Layout::kAny)
        .Case("whole", Layout::kWhole)
        .Case("features", Layout::kFeatures)
        .Case("tokens", Layout::kTokens)
        .Default(std::nullopt);
  }

  const Strategy* strategyNamed(StringRef name) {
    for (const Strategy& strategy : own_) {
      if (strategy.name == std::string_view(name)) return &strategy;
    }
    return findStrategy(std::string_view(name));
  }

  LogicalResult readRules() {
    auto plan = module_->getAttrOfType<ArrayAttr>("nn.tp_plan");
    if (!plan) return success();
    for (auto attr : plan.getAsRange<nn::RuleAttr>()) {
      const Strategy* strategy = strategyNamed(attr.getStrategy().getValue());
      if (!strategy) {
        return emitError(NameLoc::get(attr.getOrigin()))
               << "tp_plan names the strategy '" << attr.getStrategy().getValue() << "' for '"
               << attr.getPattern().getValue() << "'; there are " << strategyNames();
      }
      rules_.push_back({attr, strategy});
    }
    return success();
  }

  // A pattern may leave out the base model's prefix (model, bert, ...), as the plans of
  // configuration classes do.
  SmallVector<Rule*> fitting(StringRef path) {
    std::string general = generalize(path);
    SmallVector<Rule*> found;
    for (Rule& rule : rules_) {
      StringRef pattern = rule.attr.getPattern().getValue();
      auto is = [&](StringRef text) {
        return text == pattern || text.split('.').second == pattern;
      };
      if (is(general) || is(path)) found.push_back(&rule);
    }
    return found;
  }

  // The last rule that fits wins, so that --tp-rule amends.
  Rule* find(StringRef path) {
    SmallVector<Rule*> found = fitting(path);
    return found.empty() ? nullptr : found.back();
  }

  // What another rule amends is no slip.
  void markUsed(StringRef path) {
    for (Rule* rule : fitting(path)) rule->used = true;
  }

  void addUse(nn::FactorRuleInterface op, FlatSymbolRefAttr ref, unsigned position) {
    auto weight = symbols_.lookup<nn::WeightOp>(ref.getValue());
    if (!weight) return;  // verified elsewhere
    StringRef module = nn::moduleOf(op);
    std::string parameter = (module + "." + parameterOf(op, position)).str();
    Rule* rule = find(parameter);
    if (!rule) rule = find(module);
    markUsed(parameter);
    markUsed(module);
    Use use{op, rule, {}};
    if (rule) {
      const Strategy& strategy = *rule->strategy;
      use.request.dimension = dimensionOf(op, weight, strategy);
      // Blocks that lie one after the other: experts' gate and up are weights of their own.
      use.request.packed =
          use.request.dimension && strategy.packed && !isa<nn::ExpertsOp>(op.getOperation());
      use.request.library = strategy.library;
      // What is gathered at once may be cut anywhere.
      use.request.by_heads =
          weight.getHeads() && use.request.dimension == 0 && strategy.output != Layout::kWhole;
    }
    uses_[weight].push_back(use);
  }

  // A weight's name in its module, as today's transformers has it.
  static StringRef parameterOf(nn::FactorRuleInterface op, unsigned position) {
    return llvm::TypeSwitch<Operation*, StringRef>(op)
        .Case<nn::AddBiasOp>([](auto) { return "bias"; })
        .Case<nn::AttentionOp>([](auto) { return "sinks"; })
        .Case<nn::RouteOp>([](auto) { return "e_score_correction_bias"; })
        .Case<nn::ExpertsOp>([&](auto) -> StringRef {
          static constexpr StringRef kNames[] = {"gate_up_proj", "gate_up_proj", "down_proj",
                                                 "gate_up_proj_bias", "gate_up_proj_bias"};
          return kNames[position];
        })
        .Default([&](auto) { return position == 1 ? "bias" : "weight"; });
  }

  // Whether transformers has every expert's matrix as [in, out]: as it is stored or, of MXFP4,
  // which is stored otherwise, as it is decoded.
  static bool isTransposed(nn::WeightOp weight) {
    auto source = cast<nn::SourceAttr>(weight.getSources()[0]);
    ArrayRef<int64_t> strides = source.getStrides();
    if (source.getEncoding() && source.getEncoding().getKind() == "mxfp4") return true;
    return strides.size() > 1 && strides[strides.size() - 2] < strides.back();
  }

  // What a strategy cuts of a weight.
  static std::optional<int> dimensionOf(nn::FactorRuleInterface op, nn::WeightOp weight,
                                        const Strategy& strategy) {
    size_t rank = weight.getType().rank();
    if (isa<nn::EmbeddingOp>(op.getOperation())) return strategy.embedding;
    if (!isa<nn::ExpertsOp>(op.getOperation())) {
      return rank == 1 ? strategy.vector : strategy.linear;
    }
    // Of experts the first dimension is the experts themselves; a row of biases is an expert's.
    if (strategy.experts) return 0;
    std::optional<int> of_expert = rank == 2 ? strategy.vector : strategy.linear;
    if (!of_expert) return std::nullopt;
    // Strategies speak of what is stored.
    return 1 + (rank == 3 && isTransposed(weight) ? 1 - *of_expert : *of_expert);
  }

  // The modules that an op is in, for rules that speak of modules.
  void addModules(nn::FactorRuleInterface op) {
    StringRef path = nn::moduleOf(op);
    while (true) {
      if (Rule* rule = find(path); rule && rule->strategy->of_module) {
        markUsed(path);
        modules_.try_emplace(path, rule);
      }
      if (!path.contains('.')) return;
      path = path.rsplit('.').first;
    }
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
    // Experts' weights are parameters of their module.
    auto parentOf = [](Use& use) {
      StringRef module = nn::moduleOf(use.op);
      return isa<nn::ExpertsOp>(use.op.getOperation()) ? module : module.rsplit('.').first;
    };
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

  // A tied weight that its uses want cut differently is held once for every cut.
  void separateUses() {
    llvm::MapVector<nn::WeightOp, SmallVector<Use>> separate;
    for (auto& [weight, uses] : uses_) {
      SmallVector<nn::WeightOp> copies{weight};
      for (Use& use : uses) {
        auto same = llvm::find_if(copies, [&](nn::WeightOp copy) {
          return separate[copy].empty() || separate[copy].front().request == use.request;
        });
        nn::WeightOp copy = same == copies.end() ? copyFor(weight, use) : *same;
        if (same == copies.end()) copies.push_back(copy);
        if (copy != weight) use.op->setAttr("weight", FlatSymbolRefAttr::get(copy));
        separate[copy].push_back(use);
      }
    }
    uses_ = std::move(separate);
  }

  nn::WeightOp copyFor(nn::WeightOp weight, Use& use) {
    OpBuilder builder(weight);
    builder.setInsertionPointAfter(weight);
    auto copy = cast<nn::WeightOp>(builder.clone(*weight));
    copy->setLoc(use.op->getLoc());
    copy.setSymName((nn::moduleOf(use.op) + ".weight").str());
    symbols_.insert(copy);
    return copy;
  }

  std::optional<dist::CutAttr> cutFor(nn::WeightOp weight, const Use& use, int64_t ranks) {
    return dcc::cutFor(axis_, ranks, use.op, weight,
                       {*use.request.dimension, use.request.packed, use.request.by_heads});
  }

  // The largest degree that every weight can be cut over.
  int64_t mostRanks() {
    auto all = [&](int64_t ranks) {
      return llvm::all_of(uses_, [&](auto& entry) {
        const Use& use = entry.second.front();
        return !use.request.dimension || cutFor(entry.first, use, ranks);
      });
    };
    int64_t most = 1, above = 1 << 16;
    while (above - most > 1) {
      int64_t middle = (most + above) / 2;
      (all(middle) ? most : above) = middle;
    }
    return most;
  }

  LogicalResult cut(nn::WeightOp weight, ArrayRef<Use> uses) {
    const Use& use = uses.front();
    if (use.rule) {
      weight.setRule(use.rule->text());
    }
    // For fix-sums, which asks at every degree.
    if (use.request.dimension && nn::isInvariant(module_)) {
      weight->setAttr("nn.cuts", OpBuilder(module_).getI64IntegerAttr(*use.request.dimension));
    }
    if (ranks_ > 1 && use.request.library) return cutByLibrary(weight, use);
    if (!use.request.dimension || ranks_ == 1) return success();
    int dimension = *use.request.dimension;
    std::optional<dist::CutAttr> cut = cutFor(weight, use, ranks_);
    if (!cut) {
      return use.op->emitError() << "size " << weight.getType().constant(dimension)
                                 << " can't be cut over --tp " << ranks_ << "; at most --tp "
                                 << mostRanks() << " works for this model";
    }
    place(weight, dimension, *cut);
    return success();
  }

  void place(nn::WeightOp weight, int dimension, dist::CutAttr cut) {
    SmallVector<dist::CutAttr> cuts(weight.getType().rank(),
                                    dist::CutAttr::get(module_.getContext(), StringAttr(), {}));
    cuts[dimension] = cut;
    weight.setType(weight.getType().withPlacement(dist::placement(module_.getContext(), cuts)));
  }

  // The library's answer is checked before it is an attribute, which relies on it.
  LogicalResult cutByLibrary(nn::WeightOp weight, Use use) {
    plugin::Tensor tensor;
    tensor.module = std::string_view(nn::moduleOf(use.op));
    bool bias = isa<nn::AddBiasOp>(use.op.getOperation());
    tensor.parameter = bias ? "bias" : "weight";
    for (size_t i = 0; i < weight.getType().rank(); ++i) {
      tensor.shape.push_back(weight.getType().constant(i));
    }
    tensor.ranks = static_cast<int>(ranks_);
    std::optional<plugin::Partition> partition = use.request.library->partitionTensor(tensor);
    if (!partition) return success();
    auto refuse = [&](const Twine& what) {
      return use.op->emitError() << "the strategy '" << use.rule->attr.getStrategy().getValue()
                                 << "' cuts the " << std::string(tensor.parameter)
                                 << " wrongly: " << what;
    };
    if (partition->dimension < 0 || partition->dimension >= int(tensor.shape.size())) {
      return refuse("it has no dimension " + Twine(partition->dimension));
    }
    if (int64_t(partition->ranks.size()) != ranks_) {
      return refuse("there are parts for " + Twine(partition->ranks.size()) + " ranks, not " +
                    Twine(ranks_));
    }
    int64_t size = tensor.shape[partition->dimension];
    SmallVector<dist::Ranges> ranges(ranks_);
    for (auto [i, own] : llvm::enumerate(partition->ranks)) {
      for (plugin::Range range : own) {
        if (range.begin < 0 || range.begin >= range.end || range.end > size) {
          return refuse("rank " + Twine(i) + " has [" + Twine(range.begin) + ", " +
                        Twine(range.end) + ") of " + Twine(size) + " indices");
        }
        ranges[i].push_back({range.begin, range.end});
      }
      if (own.empty()) return refuse("rank " + Twine(i) + " has nothing");
    }
    dist::CutAttr cut = dist::cutOf(axis_, ranges, size);
    if (std::string wrong = dist::checkCut(cut, size, mesh_); !wrong.empty()) return refuse(wrong);
    place(weight, partition->dimension, cut);
    return success();
  }

  // ---- what strategies ask of inputs and outputs ------------------------------------------------

  void addReshards() {
    llvm::SmallSet<Operation*, 16> done;
    for (auto& [weight, uses] : uses_) {
      for (Use& use : uses) {
        // A bias is its linear's matter.
        bool bias = isa<nn::AddBiasOp>(use.op.getOperation()) ||
                    (isa<nn::LinearOp>(use.op.getOperation()) && weight.getType().rank() == 1);
        if (!use.rule || bias || use.rule->strategy->of_module || !done.insert(use.op).second) {
          continue;
        }
        StringAttr because = StringAttr::get(module_.getContext(), use.rule->text());
        const Strategy& strategy = *use.rule->strategy;
        if (auto experts = dyn_cast<nn::ExpertsOp>(use.op.getOperation())) {
          if (strategy.experts) bringGates(experts, because);
          continue;
        }
        // Token ids are no features, and every rank has them all.
        if (!isa<nn::EmbeddingOp>(use.op.getOperation())) {
          bringInput(use.op, strategy, because);
        }
        Value result = use.op->getResult(0);
        if (result.hasOneUse()) {
          if (auto next = dyn_cast<nn::AddBiasOp>(*result.user_begin())) result = next.getResult();
        }
        bringOutput(result, usesOf(result), Layout::kAny, strategy.output, because);
      }
    }
    for (auto& [path, rule] : modules_) bringModule(path, *rule);
  }

  static SmallVector<OpOperand*> usesOf(Value value) {
    SmallVector<OpOperand*> uses;
    for (OpOperand& use : value.getUses()) uses.push_back(&use);
    return uses;
  }

  // Of a value of this type; null: whole.
  dist::PlacementAttr placementOf(Layout layout, nn::TensorType type) {
    dist::PlacementAttr placement = explicitPlacement(layout, type);
    return dist::placement(placement.getContext(), placement.getCuts());
  }

  dist::PlacementAttr explicitPlacement(Layout layout, nn::TensorType type) {
    MLIRContext* context = module_.getContext();
    SmallVector<dist::CutAttr> cuts(type.rank(), dist::CutAttr::get(context, StringAttr(), {}));
    if (layout == Layout::kTokens) cuts.front() = dist::CutAttr::get(context, axis_, {});
    if (layout == Layout::kFeatures) {
      SmallVector<dist::Ranges> ranges(ranks_);
      for (int64_t i = 0; i < ranks_; ++i) {
        ranges[i].push_back(share(type.constant(type.rank() - 1), i, ranks_));
      }
      cuts.back() = dist::cutOf(axis_, ranges, type.constant(type.rank() - 1));
    }
    return dist::PlacementAttr::get(context, cuts, {});
  }

  void bringInput(Operation* op, const Strategy& strategy, StringAttr because) {
    OpBuilder builder(op);
    auto type = cast<nn::TensorType>(op->getOperand(0).getType());
    auto linear = dyn_cast<nn::LinearOp>(op);
    // What a product is summed over is cut as its weight is.
    dist::CutAttr summed;
    if (linear) summed = symbols_.lookup<nn::WeightOp>(linear.getWeight()).getType().cut(1);
    auto asWeight = [&] {
      SmallVector<dist::CutAttr> cuts{dist::CutAttr::get(op->getContext(), StringAttr(), {}),
                                      summed};
      return dist::placement(op->getContext(), cuts);
    };
    dist::PlacementAttr from, to;
    if (strategy.arrives == Layout::kAny && strategy.input == Layout::kAny) {
      // Ranks that compute the same heads take parts of them.
      auto attention = linear ? linear.getX().getDefiningOp<nn::AttentionOp>() : nullptr;
      if (!attention || !summed.isCut() || ranks_ <= HeadsOf{attention}.queries()) return;
      to = asWeight();
    } else {
      if (strategy.arrives != Layout::kAny) from = explicitPlacement(strategy.arrives, type);
      Layout layout = strategy.input == Layout::kAny ? strategy.arrives : strategy.input;
      bool features = layout == Layout::kFeatures && summed && summed.isCut();
      to = features ? asWeight() : placementOf(layout, type);
    }
    op->setOperand(0, builder.create<dist::ReshardOp>(op->getLoc(), type, op->getOperand(0), from,
                                                      to, because));
  }

  // A rank that holds some of the experts sees the gates of those.
  void bringGates(nn::ExpertsOp op, StringAttr because) {
    OpBuilder builder(op);
    auto type = cast<nn::TensorType>(op.getGates().getType());
    dist::CutAttr cut = symbols_.lookup<nn::WeightOp>(op.getGate()).getType().cut(0);
    SmallVector<dist::CutAttr> cuts{dist::CutAttr::get(module_.getContext(), StringAttr(), {}),
                                    cut};
    op.getGatesMutable().assign(
        builder.create<dist::ReshardOp>(op.getLoc(), type, op.getGates(), dist::PlacementAttr(),
                                        dist::placement(module_.getContext(), cuts), because));
  }

  // These uses of a value see it in the layout.
  void bringOutput(Value value, ArrayRef<OpOperand*> uses, Layout arrives, Layout layout,
                   StringAttr because) {
    if (layout == Layout::kAny) return;
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    auto type = cast<nn::TensorType>(value.getType());
    dist::PlacementAttr from;
    if (arrives != Layout::kAny) from = explicitPlacement(arrives, type);
    auto brought = builder.create<dist::ReshardOp>(value.getLoc(), type, value, from,
                                                   placementOf(layout, type), because);
    for (OpOperand* use : uses) use->set(brought);
  }

  // What leaves a module: results of its ops that others use.
  void bringModule(StringRef path, Rule& rule) {
    StringAttr because = StringAttr::get(module_.getContext(), rule.text());
    auto inside = [&](Operation* op) {
      StringRef other = nn::moduleOf(op);
      return other == path || (other.starts_with(path) && other[path.size()] == '.');
    };
    SmallVector<std::pair<Value, SmallVector<OpOperand*>>> leaving;
    module_.walk([&](nn::FactorRuleInterface op) {
      if (!inside(op)) return;
      for (Value result : op->getResults()) {
        SmallVector<OpOperand*> uses;
        for (OpOperand& use : result.getUses()) {
          if (!inside(use.getOwner())) uses.push_back(&use);
        }
        if (!uses.empty()) leaving.emplace_back(result, uses);
      }
    });
    for (auto& [value, uses] : leaving) {
      bringOutput(value, uses, rule.strategy->arrives, rule.strategy->output, because);
    }
  }

  ModuleOp module_;
  SymbolTable symbols_;
  dist::MeshAttr mesh_;
  StringAttr axis_;
  int64_t ranks_;
  std::vector<Strategy> own_;  // the plan's, before any rule points to one
  std::vector<Rule> rules_;
  llvm::MapVector<nn::WeightOp, SmallVector<Use>> uses_;
  llvm::MapVector<StringRef, Rule*> modules_;  // that a rule of modules speaks of, by path
};

struct Annotate : impl::AnnotateBase<Annotate> {
  void runOnOperation() override {
    if (failed(Annotator(getOperation()).run())) signalPassFailure();
  }
};

}  // namespace
}  // namespace dcc
