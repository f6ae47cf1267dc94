#include "runtime/plan/size_proof.h"

#include <set>

#include "runtime/base/checked.h"
#include "runtime/plan/size_value.h"

namespace dcc::plan {
namespace {

bool isOperation(fb::SizeOp op) { return op != fb::SizeOp::constant && op != fb::SizeOp::variable; }

// The nodes of one pool that some expressions are made of, and their values.
class Pool {
 public:
  explicit Pool(const SizeAnalysis& sizes) : sizes_(sizes), values_(sizes.size()) {}

  void need(uint32_t root) {
    std::vector<uint32_t> todo{root};
    while (!todo.empty()) {
      uint32_t node = todo.back();
      todo.pop_back();
      if (!nodes_.insert(node).second || !isOperation(sizes_.node(node).op())) continue;
      todo.push_back(sizes_.node(node).a());
      todo.push_back(sizes_.node(node).b());
    }
  }
  void evaluate(std::span<const int64_t> variables) {
    // In the order of the pool, so operands come first.
    for (uint32_t node : nodes_) values_[node] = sizeValue(sizes_.node(node), variables, values_);
  }
  int64_t value(uint32_t node) const { return values_[node]; }
  const std::set<uint32_t>& nodes() const { return nodes_; }

 private:
  const SizeAnalysis& sizes_;
  std::set<uint32_t> nodes_;
  std::vector<int64_t> values_;
};

// The next combination of values in [1, bounds[i]] of the variables that matter, the others stay 1;
// false after the last.
bool advance(std::span<const int64_t> bounds, const std::vector<bool>& matters,
             std::vector<int64_t>& variables) {
  for (size_t i = 0; i < bounds.size(); ++i) {
    if (!matters[i]) continue;
    if (++variables[i] <= bounds[i]) return true;
    variables[i] = 1;
  }
  return false;
}

}  // namespace

bool SizeProof::sumEquals(std::span<const SizeRef> parts, SizeRef whole) {
  std::optional<SizeForm> total = SizeForm();
  for (const SizeRef& part : parts) {
    if (total) total = sumOf(*total, part.sizes->form(part.node));
  }
  if (total == whole.sizes->form(whole.node)) return true;
  std::vector<SizeRef> question(parts.begin(), parts.end());
  question.push_back(whole);
  if (auto known = tried_.find(question); known != tried_.end()) return known->second;
  return tried_[question] = tryAll(parts, whole);
}

bool SizeProof::tryAll(std::span<const SizeRef> parts, SizeRef whole) {
  std::map<const SizeAnalysis*, Pool> pools;
  auto need = [&](const SizeRef& size) {
    pools.try_emplace(size.sizes, *size.sizes).first->second.need(size.node);
  };
  for (const SizeRef& part : parts) need(part);
  need(whole);

  uint64_t nodes = 0;
  std::vector<bool> matters(bounds_.size());
  for (const auto& [sizes, pool] : pools) {
    nodes += pool.nodes().size();
    for (uint32_t node : pool.nodes()) {
      if (sizes->node(node).op() == fb::SizeOp::variable) matters[sizes->node(node).a()] = true;
    }
  }
  std::optional<uint64_t> work = nodes;
  for (size_t i = 0; work && i < bounds_.size(); ++i) {
    if (matters[i]) work = checkedMul(*work, static_cast<uint64_t>(bounds_[i]));
  }
  if (!work || *work > budget_) return false;
  budget_ -= *work;

  std::vector<int64_t> variables(bounds_.size(), 1);
  do {
    for (auto& [sizes, pool] : pools) pool.evaluate(variables);
    auto valueOf = [&](const SizeRef& size) { return pools.at(size.sizes).value(size.node); };
    int64_t total = 0;
    for (const SizeRef& part : parts) {
      std::optional<int64_t> sum = checkedAdd(total, valueOf(part));
      if (!sum) return false;
      total = *sum;
    }
    if (total != valueOf(whole)) return false;
  } while (advance(bounds_, matters, variables));
  return true;
}

}  // namespace dcc::plan
