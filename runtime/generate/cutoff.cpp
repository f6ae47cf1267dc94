#include "runtime/generate/cutoff.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <numeric>

namespace dcc::generate {

// In rank order, so that all ranks get the same bits.
Status Cutoff::sumOverRanks(std::span<double> bins) {
  if (group_ == nullptr || group_->size() == 1) return Status::success();
  const uint32_t ranks = group_->size();
  gathered_.resize(bins.size() * ranks);
  bytes_.assign(ranks, bins.size_bytes());
  DCC_RETURN_IF_ERROR(group_->allGather(bins.data(), gathered_.data(), bytes_));
  std::fill(bins.begin(), bins.end(), 0.0);
  for (uint32_t r = 0; r < ranks; ++r) {
    for (size_t i = 0; i < bins.size(); ++i) bins[i] += gathered_[r * bins.size() + i];
  }
  return Status::success();
}

template <class Measure>
Result<float> Cutoff::find(std::span<const float> weights, float floor, double target, bool share,
                           Measure measure) {
  uint32_t prefix = 0;
  double above = 0;  // measure of the weights that are certainly over the threshold
  for (int shift = 24; shift >= 0; shift -= 8) {
    std::array<double, 256> bins{};
    for (const float weight : weights) {
      const auto bits = std::bit_cast<uint32_t>(weight);
      if (weight < floor || (shift < 24 && bits >> (shift + 8) != prefix)) continue;
      bins[bits >> shift & 255] += measure(weight);
    }
    DCC_RETURN_IF_ERROR(sumOverRanks(bins));
    if (shift == 24 && share) target *= std::accumulate(bins.begin(), bins.end(), 0.0);
    // Down from the largest weights to the bin in which the target is reached. Where rounding, or
    // too few weights, leave it unreached, that is the lowest bin with anything in it.
    uint32_t chosen = 255;
    double over = 0, next = 0;
    for (uint32_t b = 256; b-- > 0;) {
      if (bins[b] == 0) continue;
      over = next;
      chosen = b;
      next += bins[b];
      if (above + next >= target) break;
    }
    above += over;
    prefix = prefix << 8 | chosen;
  }
  return std::max(floor, std::bit_cast<float>(prefix));
}

Result<float> Cutoff::byCount(std::span<const float> weights, double count) {
  return find(weights, 0, count, false, [](float) { return 1.0; });
}

Result<float> Cutoff::byMass(std::span<const float> weights, double share, float floor) {
  return find(weights, floor, share, true, [](float weight) { return double{weight}; });
}

}  // namespace dcc::generate
