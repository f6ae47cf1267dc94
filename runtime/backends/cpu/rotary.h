// Angles of rotary position embeddings: computed once per step, shared by all layers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "runtime/backends/cpu/kernels.h"

namespace dcc::cpu {

// Dynamic NTK scaling (rope in runtime/plan/kernels.h).
struct DynamicFrequencies {
  double theta = 0;
  double factor = 0;
  int64_t original_positions = 0;
  bool operator==(const DynamicFrequencies&) const = default;
};

class RotaryTable {
 public:
  // `frequencies` [half] stays; room for `max_tokens`.
  RotaryTable(std::span<const float> frequencies, float scale,
              std::optional<DynamicFrequencies> dynamic, int64_t max_tokens);

  // True when a table made of these arguments would be this one.
  bool isFor(std::span<const float> frequencies, float scale,
             const std::optional<DynamicFrequencies>& dynamic) const;

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
  std::optional<DynamicFrequencies> dynamic_;
  std::vector<float> scaled_;     // dynamic frequencies of one sequence
  std::vector<float> cos_, sin_;  // [max_tokens, half]
};

}  // namespace dcc::cpu
