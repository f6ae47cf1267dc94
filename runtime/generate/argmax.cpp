#include "runtime/generate/argmax.h"

#include <algorithm>
#include <limits>

namespace dcc::generate {

Argmax argmax(std::span<const float> values) {
  // Independent lanes, which the compiler turns into vectors; the position is looked up afterwards.
  constexpr size_t kLanes = 32;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  float most[kLanes];
  int32_t nans[kLanes] = {};
  std::fill(most, most + kLanes, kLowest);
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float v = values[i + lane];
      most[lane] = v > most[lane] ? v : most[lane];
      nans[lane] |= v != v;
    }
  }
  for (; i < values.size(); ++i) {
    most[0] = values[i] > most[0] ? values[i] : most[0];
    nans[0] |= values[i] != values[i];
  }
  const float largest = *std::max_element(most, most + kLanes);
  if (std::any_of(nans, nans + kLanes, [](int32_t nan) { return nan != 0; })) {
    return {std::numeric_limits<float>::quiet_NaN(), -1, true};
  }
  const auto at = std::find(values.begin(), values.end(), largest);
  return {largest, at == values.end() ? -1 : static_cast<int32_t>(at - values.begin()), false};
}

}  // namespace dcc::generate
