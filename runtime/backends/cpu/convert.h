// Between f32 and the 16-bit floats, exact one way, to nearest even the other.
#pragma once

#include <cstdint>

#include "runtime/base/dtype.h"

namespace dcc::cpu {

// n elements of f32, bf16 or f16 to f32.
void toF32(DType from, const void* src, float* dst, int64_t n);
// n elements to f32, bf16 or f16; NaN stays NaN, too large becomes infinite. `dst` may be `src`.
void fromF32(const float* src, DType to, void* dst, int64_t n);

constexpr bool isFloat(DType type) {
  return type == DType::kF32 || type == DType::kBF16 || type == DType::kF16;
}

}  // namespace dcc::cpu
