// fuse-linears: linears of one input become one GEMM over stacked weights, and a split.
//
// The q, k and v projections, and gate and up, read the same rows: one GEMM reads them once and has
// more columns to spread over threads.
#include "passes/Passes.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_FUSELINEARS
#include "passes/Passes.h.inc"

namespace {

using Group = SmallVector<nn::LinearOp>;

class Fuser {
 public:
  explicit Fuser(ModuleOp module) : module_(module), symbols_(module) {}

  void run() {
    SmallVector<Group> groups;
    module_.walk([&](nn::FactorRuleInterface op) {
      for (FlatSymbolRefAttr ref : op.weightRefs()) ++uses_[ref.getAttr()];
    });
    for (auto entry : module_.getOps<func::FuncOp>()) collect(entry, groups);
    // A weight is stacked only if every use of it is: else it would be held twice.
    llvm::MapVector<ArrayAttr, SmallVector<Group>> alike;
    for (Group& group : groups) alike[keyOf(group)].push_back(group);
    for (auto& [key, same] : alike) {
      bool all = llvm::all_of(key.getAsRange<FlatSymbolRefAttr>(), [&](FlatSymbolRefAttr ref) {
        return uses_[ref.getAttr()] == same.size();
      });
      if (all) fuse(same);
    }
  }

 private:
  // The symbols of a group: weights, then biases.
  ArrayAttr keyOf(Group& group) {
    SmallVector<Attribute> refs;
    for (nn::LinearOp op : group) refs.push_back(op.getWeightAttr());
    for (nn::LinearOp op : group) {
      if (op.getBias()) refs.push_back(op.getBiasAttr());
    }
    return ArrayAttr::get(module_.getContext(), refs);
  }

  void collect(func::FuncOp entry, SmallVectorImpl<Group>& groups) {
    llvm::MapVector<Value, Group> byInput;
    for (auto op : entry.getBody().front().getOps<nn::LinearOp>()) {
      if (!readByCollective(op)) byInput[op.getX()].push_back(op);
    }
    for (auto& [x, group] : byInput) {
      if (group.size() > 1 && stackable(group)) groups.push_back(group);
    }
  }

  // Collectives read rows without gaps, which columns of a wider result have.
  static bool readByCollective(nn::LinearOp op) {
    return llvm::any_of(op->getUsers(),
                        [](Operation* user) { return isa<dist::DistDialect>(user->getDialect()); });
  }

  bool stackable(Group& group) {
    nn::WeightOp first = weightOf(group.front().getWeight());
    SmallVector<dist::CutAttr> cuts;
    for (nn::LinearOp op : group) {
      nn::WeightOp weight = weightOf(op.getWeight());
      cuts.push_back(weight.getType().cut(0));
      if (weight.getType().getElementType() != first.getType().getElementType() ||
          weight.getType().cut(1).isCut() || op.getChunks() ||
          elementOf(op) != elementOf(group.front()) ||
          bool(op.getBias()) != bool(group.front().getBias())) {
        return false;
      }
    }
    return llvm::all_equal(llvm::map_range(cuts, [](dist::CutAttr c) { return c.getAxis(); }));
  }

  // A router's logits are f32, whatever others are.
  static Type elementOf(nn::LinearOp op) { return op.getResult().getType().getElementType(); }

  nn::WeightOp weightOf(StringRef name) { return symbols_.lookup<nn::WeightOp>(name); }

  // model.layers.0.self_attn.{q,k,v}_proj.weight ->
  // model.layers.0.self_attn.q_proj+k_proj+v_proj.weight
  static std::string stackedName(MutableArrayRef<nn::WeightOp> parts) {
    auto [module, parameter] = parts.front().getSymName().rsplit('.');
    std::string name = module.str();
    for (nn::WeightOp part : parts.drop_front()) {
      StringRef other = part.getSymName().rsplit('.').first;
      name += "+" + other.rsplit('.').second.str();
    }
    return name + "." + parameter.str();
  }

  nn::WeightOp stack(MutableArrayRef<nn::WeightOp> parts) {
    SmallVector<dist::CutAttr> cuts;
    SmallVector<int64_t> sizes;
    SmallVector<Attribute> sources;
    llvm::SetVector<StringRef> rules;
    int64_t rows = 0;
    for (nn::WeightOp part : parts) {
      cuts.push_back(part.getType().cut(0));
      sizes.push_back(part.getType().constant(0));
      rows += sizes.back();
      llvm::append_range(sources, part.getSources());
      if (part.getRule()) rules.insert(*part.getRule());
    }
    MLIRContext* context = module_.getContext();
    nn::TensorType type = parts.front().getType().withSize(0, rows);
    SmallVector<dist::CutAttr> placed(type.rank(), dist::CutAttr::get(context, StringAttr(), {}));
    placed[0] = *dist::stack(cuts, sizes, dist::meshOf(module_));
    type = type.withPlacement(dist::placement(context, placed));
    OpBuilder builder(parts.front());
    SmallVector<Location> locs;
    for (nn::WeightOp part : parts) locs.push_back(part.getLoc());
    auto weight = builder.create<nn::WeightOp>(
        builder.getFusedLoc(locs), builder.getStringAttr(stackedName(parts)), TypeAttr::get(type),
        TypeAttr(), IntegerAttr(), UnitAttr(), FloatAttr(), builder.getArrayAttr(sources),
        rules.empty() ? StringAttr() : builder.getStringAttr(llvm::join(rules, "; ")));
    symbols_.insert(weight);
    return weight;
  }

  void fuse(ArrayRef<Group> same) {
    SmallVector<nn::WeightOp> weights, biases;
    for (nn::LinearOp op : same.front()) {
      weights.push_back(weightOf(op.getWeight()));
      if (op.getBias()) biases.push_back(weightOf(*op.getBias()));
    }
    nn::WeightOp weight = stack(weights);
    nn::WeightOp bias = biases.empty() ? nn::WeightOp() : stack(biases);
    for (const Group& group : same) rewrite(group, weight, bias);
    for (nn::WeightOp part : weights) part.erase();
    for (nn::WeightOp part : biases) part.erase();
  }

  void rewrite(const Group& group, nn::WeightOp weight, nn::WeightOp bias) {
    nn::LinearOp first = group.front();
    OpBuilder builder(first);
    SmallVector<Location> locs;
    SmallVector<Type> types;
    for (nn::LinearOp op : group) {
      locs.push_back(op.getLoc());
      types.push_back(op.getResult().getType());
    }
    nn::TensorType type = first.getResult().getType();
    SmallVector<dist::CutAttr> cuts{type.cut(0), weight.getType().cut(0)};
    type = type.withSize(1, weight.getType().constant(0))
               .withPlacement(dist::placement(type.getContext(), cuts));
    Location loc = builder.getFusedLoc(locs);
    auto fused = builder.create<nn::LinearOp>(
        loc, type, first.getX(), FlatSymbolRefAttr::get(weight),
        bias ? FlatSymbolRefAttr::get(bias) : FlatSymbolRefAttr(), IntegerAttr());
    auto split = builder.create<nn::SplitOp>(loc, types, fused.getResult());
    for (auto [op, part] : llvm::zip(group, split.getParts())) {
      nn::LinearOp linear = op;
      linear.getResult().replaceAllUsesWith(part);
      linear.erase();
    }
  }

  ModuleOp module_;
  SymbolTable symbols_;
  llvm::DenseMap<StringAttr, size_t> uses_;
};

struct FuseLinears : impl::FuseLinearsBase<FuseLinears> {
  void runOnOperation() override { Fuser(getOperation()).run(); }
};

}  // namespace
}  // namespace dcc
