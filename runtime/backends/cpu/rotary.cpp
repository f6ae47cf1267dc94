#include "runtime/backends/cpu/rotary.h"

#include <cmath>

namespace dcc::cpu {

RotaryTable::RotaryTable(std::span<const float> frequencies, float scale,
                         std::optional<LongFrequencies> beyond, int64_t max_tokens)
    : frequencies_(frequencies),
      scale_(scale),
      beyond_(beyond),
      scaled_(beyond ? frequencies.size() : 0),
      cos_(max_tokens * frequencies.size()),
      sin_(max_tokens * frequencies.size()) {}

bool RotaryTable::isFor(std::span<const float> frequencies, float scale,
                        const std::optional<LongFrequencies>& beyond) const {
  return frequencies.data() == frequencies_.data() && scale == scale_ && beyond == beyond_;
}

std::span<const float> RotaryTable::frequenciesFor(int64_t length) {
  if (!beyond_ || length <= beyond_->original_positions) return frequencies_;
  if (!beyond_->beyond.empty()) return beyond_->beyond;
  const double dim = 2.0 * static_cast<double>(frequencies_.size());
  const double stretch = beyond_->factor * static_cast<double>(length) /
                             static_cast<double>(beyond_->original_positions) -
                         (beyond_->factor - 1);
  const double base = beyond_->theta * std::pow(stretch, dim / (dim - 2));
  for (size_t i = 0; i < scaled_.size(); ++i) {
    // The exponent, the power and its inverse are each rounded to f32, as the reference does.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    scaled_[i] = 1.0f / static_cast<float>(std::pow(base, exponent));
  }
  return scaled_;
}

void RotaryTable::fill(ThreadPool& pool, std::span<const int32_t> positions,
                       std::span<const int32_t> starts, std::span<const int32_t> rope_lengths) {
  const int64_t half = static_cast<int64_t>(frequencies_.size());
  const auto fillTokens = [&](std::span<const float> frequencies, int64_t first, int64_t last) {
    pool.forRanges(last - first, 1 + 256 / half, [&](int64_t begin, int64_t end) {
      for (int64_t t = first + begin; t < first + end; ++t) {
        const float position = static_cast<float>(positions[t]);
        for (int64_t i = 0; i < half; ++i) {
          const float angle = position * frequencies[i];
          cos_[t * half + i] = std::cos(angle) * scale_;
          sin_[t * half + i] = std::sin(angle) * scale_;
        }
      }
    });
  };
  if (!beyond_) return fillTokens(frequencies_, 0, static_cast<int64_t>(positions.size()));
  for (size_t b = 0; b + 1 < starts.size(); ++b) {
    fillTokens(frequenciesFor(rope_lengths[b]), starts[b], starts[b + 1]);
  }
}

RotaryView RotaryTable::view() const {
  return {cos_.data(), sin_.data(), static_cast<int64_t>(frequencies_.size())};
}

}  // namespace dcc::cpu
