// Exact thresholds over weights that are cut over ranks: what keeps the top k of a vocabulary, or
// the fewest tokens that hold a share of its mass. A radix select: the bits of non-negative floats
// are ordered as the floats are, so four histograms of 256 bins find the threshold to the last bit,
// and ranks exchange 2 KiB for each.
#pragma once

#include <span>
#include <vector>

#include "runtime/collectives/communicator.h"

namespace dcc::generate {

class Cutoff {
 public:
  // Without a group the weights are whole on this rank.
  explicit Cutoff(Communicator* group) : group_(group) {}

  // The largest t for which at least `count` >= 1 weights are >= t; 0 when there are fewer.
  Result<float> byCount(std::span<const float> weights, double count);
  // The largest t for which the weights >= t are at least `share` (0, 1] of the sum of all that are
  // >= floor; never below floor.
  Result<float> byMass(std::span<const float> weights, double share, float floor);

 private:
  template <class Measure>
  Result<float> find(std::span<const float> weights, float floor, double target, bool share,
                     Measure measure);
  Status sumOverRanks(std::span<double> bins);

  Communicator* group_;
  std::vector<double> gathered_;
  std::vector<size_t> bytes_;
};

}  // namespace dcc::generate
