#include "passes/Cuts.h"

using namespace mlir;

namespace dcc {

int64_t HeadsOf::queries() {
  return attention.getQ().getType().constant(1) / int64_t(attention.getKDim());
}
int64_t HeadsOf::group() {
  return queries() / (attention.getK().getType().constant(1) / int64_t(attention.getKDim()));
}
int64_t HeadsOf::columns() { return queries() * int64_t(attention.getVDim()); }

HeadsOf headsOf(Value value) {
  for (OpOperand& use : value.getUses()) {
    Operation* op = use.getOwner();
    if (auto attention = dyn_cast<nn::AttentionOp>(op)) {
      return {attention, use.getOperandNumber() > 0};
    }
    bool passes = isa<nn::AddBiasOp, nn::HeadNormOp, nn::HeadLayerNormOp, nn::RopeOp,
                      nn::SliceHeadsOp, nn::ExtendHeadsOp, nn::TemperatureOp, nn::ScaleOp>(op);
    if (!passes || use.getOperandNumber() > 0) continue;
    if (HeadsOf found = headsOf(op->getResult(0))) return found;
  }
  return {};
}

dist::Range share(int64_t units, int64_t rank, int64_t ranks) {
  auto begin = [&](int64_t i) { return i * (units / ranks) + std::min(i, units % ranks); };
  return {begin(rank), begin(rank + 1)};
}

namespace {

using BlockRanges = std::optional<SmallVector<dist::Range>>;  // one for each rank

// Columns of attention's result that a rank's output projection takes: those of whole heads or,
// where there are more ranks than heads, parts of them.
dist::Range columnsOf(HeadsOf heads, int64_t rank, int64_t ranks) {
  int64_t dim = heads.attention.getVDim();
  if (ranks > heads.queries()) return share(heads.columns(), rank, ranks);
  dist::Range own = share(heads.queries(), rank, ranks);
  return {own.begin * dim, own.end * dim};
}

// Heads that a rank computes: those its columns are of, and the KV heads that they read.
dist::Range headsFor(HeadsOf heads, int64_t rank, int64_t ranks) {
  dist::Range columns = columnsOf(heads, rank, ranks);
  int64_t dim = heads.attention.getVDim(), group = heads.keys ? heads.group() : 1;
  auto above = [](int64_t n, int64_t d) { return (n + d - 1) / d; };
  return {columns.begin / dim / group, above(above(columns.end, dim), group)};
}

BlockRanges byHeads(HeadsOf heads, int64_t size, int64_t ranks) {
  if (heads.columns() < ranks) return std::nullopt;
  int64_t dim = size / (heads.keys ? heads.queries() / heads.group() : heads.queries());
  SmallVector<dist::Range> ranges;
  for (int64_t i = 0; i < ranks; ++i) {
    dist::Range own = headsFor(heads, i, ranks);
    ranges.push_back({own.begin * dim, own.end * dim});
  }
  return ranges;
}

// `units` of equal size; those that are `shared` may be held by several ranks.
BlockRanges byUnits(int64_t units, bool shared, int64_t size, int64_t ranks) {
  if (units < ranks && !(shared && ranks % units == 0)) return std::nullopt;
  SmallVector<dist::Range> ranges;
  for (int64_t i = 0; i < ranks; ++i) {
    int64_t unit = i * units / ranks;
    dist::Range own = units < ranks ? dist::Range{unit, unit + 1} : share(units, i, ranks);
    ranges.push_back({own.begin * (size / units), own.end * (size / units)});
  }
  return ranges;
}

// The blocks of a packed dimension: what the model splits the result into, else two halves.
SmallVector<std::pair<int64_t, HeadsOf>> blocksOf(Operation* op, int dimension, int64_t size) {
  Value result = op->getResult(0);
  if (result.hasOneUse() && dimension == 0) {
    if (auto bias = dyn_cast<nn::AddBiasOp>(*result.user_begin())) result = bias.getResult();
  }
  if (result.hasOneUse() && dimension == 0) {
    if (auto split = dyn_cast<nn::SplitOp>(*result.user_begin())) {
      SmallVector<std::pair<int64_t, HeadsOf>> blocks;
      for (Value part : split.getParts()) {
        blocks.emplace_back(cast<nn::TensorType>(part.getType()).constant(1), headsOf(part));
      }
      return blocks;
    }
  }
  return {{size / 2, {}}, {size - size / 2, {}}};
}

// The heads of a weight's rows.
HeadsOf headsOfRows(Operation* op) {
  if (auto attention = dyn_cast<nn::AttentionOp>(op)) return {attention};  // its sinks
  return headsOf(op->getResult(0));
}

}  // namespace

std::optional<dist::CutAttr> cutFor(StringAttr axis, int64_t ranks, nn::FactorRuleInterface op,
                                    nn::WeightOp weight, const CutRequest& request) {
  int64_t size = weight.getType().constant(request.dimension);
  SmallVector<dist::Ranges> cut(ranks);
  auto add = [&](const BlockRanges& block, int64_t begin) {
    if (!block) return false;
    for (auto [all, own] : llvm::zip(cut, *block)) {
      all.push_back({begin + own.begin, begin + own.end});
    }
    return true;
  };
  auto linear = dyn_cast<nn::LinearOp>(op.getOperation());
  auto attention = linear ? linear.getX().getDefiningOp<nn::AttentionOp>() : nullptr;
  if (request.packed) {
    int64_t begin = 0;
    for (auto [block, heads] : blocksOf(op, request.dimension, size)) {
      HeadsOf of = heads;
      if (!add(of ? byHeads(of, block, ranks) : byUnits(block, false, block, ranks), begin)) {
        return std::nullopt;
      }
      begin += block;
    }
  } else if (attention && request.dimension == 1) {
    HeadsOf heads{attention};
    if (heads.columns() < ranks) return std::nullopt;
    for (int64_t i = 0; i < ranks; ++i) cut[i].push_back(columnsOf(heads, i, ranks));
  } else if (HeadsOf heads = request.by_heads ? headsOfRows(op) : HeadsOf()) {
    if (!add(byHeads(heads, size, ranks), 0)) return std::nullopt;
  } else {
    int64_t units = request.by_heads ? *weight.getHeads() : size;
    if (!add(byUnits(units, request.by_heads && weight.getShared(), size, ranks), 0)) {
      return std::nullopt;
    }
  }
  return dist::cutOf(axis, cut, size);
}

}  // namespace dcc
