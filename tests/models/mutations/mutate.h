// Random changes to the collectives of one rank's plan.
#pragma once

#include <array>
#include <random>
#include <string_view>

#include "plan_generated.h"

namespace dcc::mutations {

enum class Kind { kDrop, kSwap, kDuplicate, kResize, kRetype, kRegroup };
inline constexpr std::array kKinds = {Kind::kDrop,   Kind::kSwap,   Kind::kDuplicate,
                                      Kind::kResize, Kind::kRetype, Kind::kRegroup};
std::string_view nameOf(Kind kind);

using Random = std::mt19937_64;

// Changes one collective (two, where they are swapped) of some entry. It may leave the plan as it
// is, or valid by itself.
void mutate(plan::fb::PlanT& plan, Kind kind, Random& random);

}  // namespace dcc::mutations
