// Elements of matrices in device code, read and written as f32 whatever their type. Kernels that do
// little but read and write take the type at run time: every thread of a launch takes the same
// branch.
#pragma once

#include "runtime/backends/cuda/cuda.h"
#include "runtime/backends/views.h"
#include "runtime/base/float_bits.h"
#ifndef DCC_CUDA_EMULATION
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace dcc::cuda {

// bf16 and f16 in memory.
struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

__device__ inline float toF32(float x) { return x; }
__device__ inline float toF32(BFloat16 x) { return bf16ToF32(x.bits); }
__device__ inline float toF32(Float16 x) {
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(x.bits));
#else
  return f16ToF32(x.bits);
#endif
}

// Rounds to nearest, ties to even.
template <class T>
__device__ T fromF32(float x);
template <>
__device__ inline float fromF32<float>(float x) {
  return x;
}
template <>
__device__ inline BFloat16 fromF32<BFloat16>(float x) {
#ifdef __CUDA_ARCH__
  return {__bfloat16_as_ushort(__float2bfloat16_rn(x))};
#else
  return {f32ToBf16(x)};
#endif
}
template <>
__device__ inline Float16 fromF32<Float16>(float x) {
#ifdef __CUDA_ARCH__
  return {__half_as_ushort(__float2half_rn(x))};
#else
  return {f32ToF16(x)};
#endif
}

// 16 bytes, read and written at once.
struct alignas(16) Bytes16 {
  uint32_t words[4];
};

// Element i after `data`.
__device__ inline float load(const std::byte* data, DType type, int64_t i) {
  switch (type) {
    case DType::kBF16:
      return toF32(reinterpret_cast<const BFloat16*>(data)[i]);
    case DType::kF16:
      return toF32(reinterpret_cast<const Float16*>(data)[i]);
    default:
      return reinterpret_cast<const float*>(data)[i];
  }
}
__device__ inline void store(std::byte* data, DType type, int64_t i, float x) {
  switch (type) {
    case DType::kBF16:
      reinterpret_cast<BFloat16*>(data)[i] = fromF32<BFloat16>(x);
      break;
    case DType::kF16:
      reinterpret_cast<Float16*>(data)[i] = fromF32<Float16>(x);
      break;
    default:
      reinterpret_cast<float*>(data)[i] = x;
  }
}
__device__ inline float load(const Matrix& m, int64_t row, int64_t col) {
  return load(m.at(row, 0), m.dtype, col);
}
__device__ inline void store(const Matrix& m, int64_t row, int64_t col, float x) {
  store(m.at(row, 0), m.dtype, col, x);
}

}  // namespace dcc::cuda
