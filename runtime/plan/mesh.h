// Where a rank stands in the mesh: ranks are numbered row-major over the axes, first axis slowest.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "plan_generated.h"

namespace dcc::plan {

// More ranks than this are refused, so that per-rank tables stay small.
inline constexpr uint32_t kMaxRanks = 65536;

// The product of the axes' sizes; 1 without axes. Nothing when an axis is empty or there are more
// than kMaxRanks.
std::optional<uint32_t> worldSize(const fb::Plan& plan);

// This rank's index along `axis`. The plan is verified.
uint32_t coordinate(const fb::Plan& plan, uint32_t axis);

// The ranks that differ from this one only along `axis`, in order of their coordinate; this rank is
// among them. The plan is verified.
std::vector<uint32_t> groupRanks(const fb::Plan& plan, uint32_t axis);

}  // namespace dcc::plan
