// localize: whole shapes become local shapes, once per class of ranks whose shapes are equal.
//
// What a collective must know of the other ranks (counts, ranges) is written into it here, since
// local types no longer say it.
#include "passes/Passes.h"

#include <map>

#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_LOCALIZE
#include "passes/Passes.h.inc"

namespace {

class Localizer {
 public:
  explicit Localizer(ModuleOp module) : module_(module), mesh_(dist::meshOf(module)) {}

  LogicalResult run() {
    std::map<std::vector<int64_t>, SmallVector<int64_t>> classes;
    for (int64_t rank = 0; rank < mesh_.worldSize(); ++rank) {
      FailureOr<std::vector<int64_t>> shapes = localShapes(rank);
      if (failed(shapes)) return failure();
      classes[*shapes].push_back(rank);
    }
    // In the order of their first rank.
    SmallVector<SmallVector<int64_t>> ordered;
    for (auto& [shapes, ranks] : classes) ordered.push_back(ranks);
    llvm::sort(ordered);
    SmallVector<Operation*> whole;
    for (Operation& op : *module_.getBody()) whole.push_back(&op);
    for (auto [i, ranks] : llvm::enumerate(ordered)) {
      makeProgram("program_" + std::to_string(i), ranks, whole);
    }
    for (Operation* op : llvm::reverse(whole)) op->erase();
    return success();
  }

 private:
  // ---- shapes -----------------------------------------------------------------------------------

  int64_t localSize(nn::TensorType type, size_t i, int64_t rank) {
    dist::CutAttr cut = type.cut(i);
    if (!cut.isCut()) return type.constant(i);
    int64_t ranks = *mesh_.sizeOf(cut.getAxis());
    int64_t coordinate = mesh_.coordinate(rank, cut.getAxis());
    return dist::sizeOf(dist::rangesOf(cut, type.constant(i), ranks)[coordinate]);
  }

  nn::TensorType localType(nn::TensorType type, int64_t rank) {
    SmallVector<Attribute> dims(type.getDims());
    for (size_t i = 0; i < type.rank(); ++i) {
      if (!type.cut(i).isCut()) continue;
      dims[i] = type.size(i) ? nn::sizeAttr(type.getContext(), localSize(type, i, rank))
                             : nn::partOf(cast<StringAttr>(dims[i]), type.cut(i).getAxis());
    }
    return nn::TensorType::get(type.getContext(), dims, type.getElementType());
  }

  // Local sizes of all that is cut, which decide a rank's class.
  FailureOr<std::vector<int64_t>> localShapes(int64_t rank) {
    std::vector<int64_t> sizes;
    auto add = [&](Operation* op, nn::TensorType type) -> LogicalResult {
      for (size_t i = 0; i < type.rank(); ++i) {
        if (!type.cut(i).isCut()) continue;
        if (std::string wrong = dist::checkCut(type.cut(i), type.size(i), mesh_); !wrong.empty()) {
          return op->emitError() << wrong;
        }
        // How many tokens a rank has is known at run time only, and makes no other program.
        if (type.size(i)) sizes.push_back(localSize(type, i, rank));
      }
      return success();
    };
    WalkResult walked = module_.walk([&](Operation* op) {
      if (auto weight = dyn_cast<nn::WeightOp>(op)) {
        if (failed(add(op, weight.getType()))) return WalkResult::interrupt();
      }
      for (Type type : op->getResultTypes()) {
        auto tensor = dyn_cast<nn::TensorType>(type);
        if (tensor && failed(add(op, tensor))) return WalkResult::interrupt();
      }
      return WalkResult::advance();
    });
    if (walked.wasInterrupted()) return failure();
    return sizes;
  }

  // ---- one class --------------------------------------------------------------------------------

  void makeProgram(const std::string& name, ArrayRef<int64_t> ranks, ArrayRef<Operation*> whole) {
    OpBuilder builder = OpBuilder::atBlockEnd(module_.getBody());
    auto program = builder.create<dist::ProgramOp>(module_.getLoc(), name, ranks);
    Block& body = program.getBody().emplaceBlock();
    OpBuilder inside = OpBuilder::atBlockEnd(&body);
    for (Operation* op : whole) inside.clone(*op);
    int64_t rank = ranks.front();
    SymbolTable symbols(program);
    program.walk([&](Operation* op) {
      if (auto weight = dyn_cast<nn::WeightOp>(op)) {
        weight.setWholeAttr(TypeAttr::get(weight.getType()));
        weight.setType(localType(weight.getType(), rank));
        return;
      }
      if (auto entry = dyn_cast<func::FuncOp>(op)) return localizeEntry(entry, rank);
      writeParts(op);  // while operands of later ops still have whole types
      for (Value value : op->getResults()) {
        if (auto type = dyn_cast<nn::TensorType>(value.getType())) whole_[value] = type;
      }
    });
    program.walk([&](Operation* op) {
      for (Value value : op->getResults()) {
        if (auto type = whole_.lookup(value)) value.setType(localType(type, rank));
      }
      // The cache holds the KV heads that this class computes.
      if (auto attention = dyn_cast<nn::AttentionOp>(op); attention && attention.getCache()) {
        auto cache = symbols.lookup<nn::CacheOp>(*attention.getCache());
        cache.setHeads(attention.getK().getType().constant(1) / attention.getKDim());
      }
    });
  }

  // Keeps the results' placements, for those who read them.
  void localizeEntry(func::FuncOp entry, int64_t rank) {
    SmallVector<Attribute> results;
    SmallVector<Type> local;
    for (Type type : entry.getResultTypes()) {
      results.push_back(TypeAttr::get(type));
      local.push_back(localType(cast<nn::TensorType>(type), rank));
    }
    entry->setAttr("nn.results", ArrayAttr::get(entry.getContext(), results));
    entry.setType(FunctionType::get(entry.getContext(), entry.getArgumentTypes(), local));
  }

  // What each coordinate holds, into the ops that move parts.
  void writeParts(Operation* op) {
    if (auto attention = dyn_cast<nn::AttentionOp>(op)) {
      writePairing(attention);
    } else if (auto linear = dyn_cast<nn::LinearOp>(op)) {
      dist::CutAttr cut = linear.getX().getType().cut(1);
      linear.setChunksAttr(ownParts(linear.getChunksAttr(), cut));
    } else if (auto experts = dyn_cast<nn::ExpertsOp>(op)) {
      auto down = cast<nn::TensorType>(
          *SymbolTable::lookupNearestSymbolFrom<nn::WeightOp>(op, experts.getDownAttr())
               .getWhole());
      experts.setChunksAttr(ownParts(experts.getChunksAttr(), down.cut(2)));
      experts.setGroupsAttr(ownParts(experts.getGroupsAttr(), down.cut(0)));
    } else if (auto gather = dyn_cast<dist::AllGatherOp>(op)) {
      gather.setCountsAttr(counts(gather.getX().getType(), gather.getDimension()));
    } else if (auto scatter = dyn_cast<dist::ReduceScatterOp>(op)) {
      scatter.setCountsAttr(counts(scatter.getResult().getType(), scatter.getDimension()));
    } else if (auto slice = dyn_cast<dist::SliceOp>(op)) {
      nn::TensorType type = slice.getResult().getType();
      if (!type.size(slice.getDimension())) return;
      // Of what a rank has, which may be less than the whole.
      SmallVector<Attribute> ranges;
      dist::CutRanges parts = rangesOf(type, slice.getDimension());
      dist::CutAttr had = slice.getX().getType().cut(slice.getDimension());
      if (had.isCut()) {
        dist::CutRanges all = rangesOf(slice.getX().getType(), slice.getDimension());
        for (auto [part, own] : llvm::zip(parts, all)) part = *dist::within(part, own);
      }
      for (const dist::Ranges& coordinate : parts) {
        SmallVector<int64_t> flat;
        for (dist::Range r : coordinate) flat.append({r.begin, r.end});
        ranges.push_back(DenseI64ArrayAttr::get(op->getContext(), flat));
      }
      slice.setRangesAttr(ArrayAttr::get(op->getContext(), ranges));
    }
  }

  // Of a sum's parts those that a rank has; none where it is one.
  IntegerAttr ownParts(IntegerAttr parts, dist::CutAttr cut) {
    if (!parts) return {};
    int64_t own = parts.getInt() / (cut.isCut() ? *mesh_.sizeOf(cut.getAxis()) : 1);
    return own > 1 ? IntegerAttr::get(parts.getType(), own) : IntegerAttr();
  }

  // Where ranks cut through groups of query heads, attention is told how they pair with KV heads.
  void writePairing(nn::AttentionOp op) {
    nn::TensorType q = op.getQ().getType(), k = op.getK().getType();
    if (!q.cut(1).isCut()) return;
    int64_t dim = op.getKDim(), group = q.constant(1) / k.constant(1);
    bool even = true;
    SmallVector<Attribute> pairs;
    dist::CutRanges keys(*mesh_.sizeOf(q.cut(1).getAxis()), {{0, k.constant(1)}});
    if (k.cut(1).isCut()) keys = rangesOf(k, 1);
    for (auto [own, kv] : llvm::zip(rangesOf(q, 1), keys)) {
      even &= nn::pairsEvenly(headsOf(kv, dim), headsOf(own, dim), group);
      pairs.push_back(
          DenseI64ArrayAttr::get(op.getContext(), {own.front().begin / dim % group, group}));
    }
    if (even) return;
    op.setPairingAttr(ArrayAttr::get(op.getContext(), pairs));
    op->setAttr("axis", q.cut(1).getAxis());
  }

  static SmallVector<int64_t> headsOf(const dist::Ranges& columns, int64_t dim) {
    SmallVector<int64_t> heads;
    for (dist::Range r : columns) {
      llvm::append_range(heads, llvm::seq(r.begin / dim, r.end / dim));
    }
    return heads;
  }

  dist::CutRanges rangesOf(nn::TensorType type, size_t dimension) {
    dist::CutAttr cut = type.cut(dimension);
    return dist::rangesOf(cut, type.constant(dimension), *mesh_.sizeOf(cut.getAxis()));
  }

  // None of tokens.
  DenseI64ArrayAttr counts(nn::TensorType type, size_t dimension) {
    if (!type.size(dimension)) return {};
    SmallVector<int64_t> counts;
    for (const dist::Ranges& ranges : rangesOf(type, dimension)) {
      counts.push_back(dist::sizeOf(ranges));
    }
    return DenseI64ArrayAttr::get(type.getContext(), counts);
  }

  ModuleOp module_;
  dist::MeshAttr mesh_;
  llvm::DenseMap<Value, nn::TensorType> whole_;
};

struct Localize : impl::LocalizeBase<Localize> {
  void runOnOperation() override {
    if (failed(Localizer(getOperation()).run())) signalPassFailure();
  }
};

}  // namespace
}  // namespace dcc
