// Floats as whole numbers of the same order, for which warps and atomics have a maximum.
#pragma once

#include "runtime/backends/cuda/cuda.h"

namespace dcc::cuda {

// Below every float's.
inline constexpr uint32_t kBelowAll = 0;

// -0 and 0 are equal; a NaN is above all.
__device__ inline uint32_t ordered(float x) {
  if (x != x) return ~0u;
  const uint32_t bits = __float_as_uint(x == 0 ? 0.0f : x);
  return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}
__device__ inline float fromOrdered(uint32_t key) {
  return __uint_as_float(key >> 31 != 0 ? key & 0x7fffffffu : ~key);
}

}  // namespace dcc::cuda
