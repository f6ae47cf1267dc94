// SplitMix64 (Steele, Lea and Flood, 2014) as a function of a counter, so that any word is as near
// as the first. Includes nothing of a plan: device code includes it.
#pragma once

#include <cstdint>

namespace dcc {

class SplitMix {
 public:
  // Its state begins as mix(seed).
  constexpr explicit SplitMix(uint64_t seed) : state_(mix(seed)) {}

  constexpr uint64_t word(uint64_t number) const {
    return mix(state_ + (number + 1) * 0x9e3779b97f4a7c15);
  }

 private:
  static constexpr uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

}  // namespace dcc
