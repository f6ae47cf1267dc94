// choose-exchange: entries in which experts' tokens had better travel alone are marked, by bytes.
//
// With whole experts on every rank there are two ways. All ranks see all tokens, and the experts'
// results are summed: an all_reduce. Or tokens are cut, and each goes to the ranks whose experts it
// is for, and back: all-to-all, which leaves out what nobody asked for but brings the gates to all
// ranks. `nn.all_to_all = "tp"` on an entry says the second; residual-by-tokens then cuts its
// tokens, and exchange-experts has only the rows travel that are asked for.
#include "passes/Passes.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_CHOOSEEXCHANGE
#include "passes/Passes.h.inc"

namespace {

constexpr double kSumBytes = 4;  // of an element of a sum
// An exchange more costs about as much as so many bytes (runtime/collectives/shares.h).
constexpr double kExchangeBytes = 32 << 10;

// What a rank receives for one layer's experts, in bytes a step.
struct Costs {
  double all_reduce = 0, all_to_all = 0;
};

nn::RouteOp routeOf(nn::ExpertsOp op) {
  Value gates = op.getGates();
  if (auto slice = gates.getDefiningOp<dist::SliceOp>()) gates = slice.getX();
  return gates.getDefiningOp<nn::RouteOp>();
}

// Whether somebody else than the experts and their router reads x.
bool isShared(Value x, nn::ExpertsOp experts, nn::RouteOp route) {
  return llvm::any_of(x.getUsers(), [&](Operation* user) {
    return user != experts && user != route.getLogits().getDefiningOp();
  });
}

Costs costsOf(nn::ExpertsOp op, nn::RouteOp route, int64_t tokens, int64_t ranks) {
  nn::TensorType x = op.getX().getType();
  const double experts = route.getResult().getType().constant(1), each = experts / ranks;
  const double in = x.constant(1) * x.getElementType().getIntOrFloatBitWidth() / 8.0;
  const double out = op.getResult().getType().constant(1) * kSumBytes;
  const double rows = double(tokens) * (ranks - 1) / ranks;  // of the others
  // How probable it is that one of a token's k experts is a certain rank's.
  double none = 1;
  for (uint64_t i = 0; i < route.getK(); ++i) none *= std::max(0.0, 1 - each / (experts - i));
  const double asked = 1 - none;

  Costs costs;
  costs.all_reduce = rows * 2 * out;
  costs.all_to_all = rows * (asked * (in + out) + experts * kSumBytes) + kExchangeBytes;
  if (isShared(op.getX(), op, route)) costs.all_to_all += rows * in;
  bool summed = llvm::any_of(op.getResult().getUsers(), [](Operation* user) {
    return isa<nn::AddOp>(user) && cast<nn::TensorType>(user->getResult(0).getType()).isPartial();
  });
  if (summed) costs.all_to_all += rows * out;
  return costs;
}

struct ChooseExchange : impl::ChooseExchangeBase<ChooseExchange> {
  using Base::Base;

  void runOnOperation() override {
    dist::MeshAttr mesh = dist::meshOf(getOperation());
    for (auto entry : getOperation().getOps<func::FuncOp>()) {
      for (auto [axis, size] : llvm::zip(mesh.getNames(), mesh.getSizes())) {
        if (size > 1 && pays(entry, axis, size)) entry->setAttr("nn.all_to_all", axis);
      }
    }
  }

  bool pays(func::FuncOp entry, StringAttr axis, int64_t ranks) {
    auto bounds = entry->getAttrOfType<DictionaryAttr>("nn.bounds");
    auto tokens = bounds ? bounds.getAs<IntegerAttr>("T") : IntegerAttr();
    Costs all;
    bool any = false;
    entry.walk([&](nn::ExpertsOp op) {
      nn::RouteOp route = routeOf(op);
      if (!route || op.getGates().getType().cut(1).getAxis() != axis) return;
      any = true;
      if (!tokens) return;
      const Costs costs = costsOf(op, route, tokens.getInt(), ranks);
      all.all_reduce += costs.all_reduce;
      all.all_to_all += costs.all_to_all;
    });
    return any && (always || all.all_to_all < all.all_reduce);
  }
};

}  // namespace
}  // namespace dcc
