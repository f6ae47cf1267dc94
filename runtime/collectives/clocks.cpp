#include "runtime/collectives/clocks.h"

#include <algorithm>
#include <cmath>

namespace dcc {
namespace {

constexpr int kRounds = 16;

}  // namespace

Result<ClockReading> compareClocks(Communicator& world, const std::function<int64_t()>& now) {
  ClockReading own;
  for (uint32_t r = 1; r < world.size(); ++r) {
    ClockReading best;
    for (int round = 0; round < kRounds; ++round) {
      char question = 0;
      const int64_t asked = now();
      DCC_RETURN_IF_ERROR(world.broadcast(&question, sizeof(question), 0));
      int64_t answer = now();
      DCC_RETURN_IF_ERROR(world.broadcast(&answer, sizeof(answer), r));
      const int64_t half = (now() - asked) / 2;
      if (round == 0 || half < best.error) best = {answer, answer - (asked + half), half};
    }
    // Only rank 0 has seen both ends of a round.
    DCC_RETURN_IF_ERROR(world.broadcast(&best, sizeof(best), 0));
    if (r == world.rank()) own = best;
  }
  if (world.rank() == 0) own.at = now();
  return own;
}

int64_t ClockMap::toRankZero(int64_t at) const {
  const auto span = static_cast<double>(after_.at - before_.at);
  const double share = span > 0 ? static_cast<double>(at - before_.at) / span : 0;
  const auto drift = static_cast<double>(after_.ahead - before_.ahead);
  return at - before_.ahead - std::llround(share * drift);
}

int64_t ClockMap::error() const { return std::max(before_.error, after_.error); }

}  // namespace dcc
