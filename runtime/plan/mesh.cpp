#include "runtime/plan/mesh.h"

#include "runtime/plan/access.h"

namespace dcc::plan {
namespace {

// Distance between ranks that are neighbours along `axis`.
uint32_t stride(const fb::Plan& plan, uint32_t axis) {
  uint32_t product = 1;
  for (uint32_t a = axis + 1; a < rows(plan.mesh()).size(); ++a) {
    product *= plan.mesh()->Get(a)->size();
  }
  return product;
}

}  // namespace

std::optional<uint32_t> worldSize(const fb::Plan& plan) {
  uint64_t product = 1;
  for (const fb::Axis* axis : rows(plan.mesh())) {
    product *= axis->size();  // at most 2^16 * 2^32
    if (product == 0 || product > kMaxRanks) return std::nullopt;
  }
  return static_cast<uint32_t>(product);
}

uint32_t coordinate(const fb::Plan& plan, uint32_t axis) {
  return plan.rank() / stride(plan, axis) % plan.mesh()->Get(axis)->size();
}

std::vector<uint32_t> groupRanks(const fb::Plan& plan, uint32_t axis) {
  uint32_t step = stride(plan, axis);
  uint32_t first = plan.rank() - coordinate(plan, axis) * step;
  std::vector<uint32_t> ranks;
  for (uint32_t i = 0; i < plan.mesh()->Get(axis)->size(); ++i) ranks.push_back(first + i * step);
  return ranks;
}

}  // namespace dcc::plan
