// Angles of rotary position embeddings: computed once per step, shared by all layers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "runtime/backends/cpu/kernels.h"

namespace dcc::cpu {

// What sequences longer than the original positions turn by (rope in runtime/plan/kernels.h): other
// frequencies, or without them dynamic NTK scaling.
struct LongFrequencies {
  int64_t original_positions = 0;
  std::span<const float> beyond;
  double theta = 0, factor = 0;

  bool operator==(const LongFrequencies& other) const {
    return original_positions == other.original_positions && beyond.data() == other.beyond.data() &&
           theta == other.theta && factor == other.factor;
  }
};

class RotaryTable {
 public:
  // `frequencies` [half] stays; room for `max_tokens`.
  RotaryTable(std::span<const float> frequencies, float scale,
              std::optional<LongFrequencies> beyond, int64_t max_tokens);

  // True when a table made of these arguments would be this one.
  bool isFor(std::span<const float> frequencies, float scale,
             const std::optional<LongFrequencies>& beyond) const;

  // Computes cosines and sines for the step's tokens: of position * frequency in f32, as the models
  // were trained, times scale.
  void fill(ThreadPool& pool, std::span<const int32_t> positions, std::span<const int32_t> starts,
            std::span<const int32_t> rope_lengths);

  RotaryView view() const;

 private:
  // Frequencies of a sequence whose rope length is `length`.
  std::span<const float> frequenciesFor(int64_t length);

  std::span<const float> frequencies_;
  float scale_;
  std::optional<LongFrequencies> beyond_;
  std::vector<float> scaled_;     // dynamic frequencies of one sequence
  std::vector<float> cos_, sin_;  // [max_tokens, half]
};

}  // namespace dcc::cpu
