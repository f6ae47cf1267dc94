// What of a plan's weights is wanted where.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dcc {

// Bytes of Plan.weights[weight], as it lies in memory, from `offset` on, as many as fill `memory`;
// both end between elements.
struct WeightPart {
  uint32_t weight = 0;
  uint64_t offset = 0;
  std::span<uint8_t> memory;
};

// All of the weights: memory[i] is Plan.weights[i].
inline std::vector<WeightPart> wholeWeights(std::span<const std::span<uint8_t>> memory) {
  std::vector<WeightPart> parts;
  for (uint32_t i = 0; i < memory.size(); ++i) parts.push_back({i, 0, memory[i]});
  return parts;
}

}  // namespace dcc
