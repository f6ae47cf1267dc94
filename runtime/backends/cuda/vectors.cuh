// Elements of device memory 16 bytes at a time, and sums over the lanes of a warp.
#pragma once

#include "runtime/backends/cuda/elements.cuh"

namespace dcc::cuda {

// A row of a matrix known to be f32.
__device__ inline float* f32Row(const Matrix& m, int64_t row) {
  return reinterpret_cast<float*>(m.data) + row * m.stride;
}

// Elements in 16 bytes.
template <class T>
inline constexpr int kPerVector = 16 / sizeof(T);

// 16 bytes of what no kernel writes and this one reads once: they pass the caches by. Issued where
// it stands, before waitForInputs() if it stands before.
__device__ inline Bytes16 loadOnce(const void* at) {
#ifdef __CUDA_ARCH__
  Bytes16 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.words[0]), "=r"(v.words[1]), "=r"(v.words[2]), "=r"(v.words[3])
               : "l"(at));
  return v;
#else
  return *reinterpret_cast<const Bytes16*>(at);
#endif
}
// 16 bytes of what others may have written before.
__device__ inline Bytes16 loadVector(const void* at) {
  return *reinterpret_cast<const Bytes16*>(at);
}

template <class T>
__device__ void unpack(const Bytes16& v, float (&out)[kPerVector<T>]);
template <>
__device__ inline void unpack<float>(const Bytes16& v, float (&out)[4]) {
  for (int i = 0; i < 4; ++i) out[i] = __uint_as_float(v.words[i]);
}
template <>
__device__ inline void unpack<BFloat16>(const Bytes16& v, float (&out)[8]) {
  DCC_UNROLL
  for (int i = 0; i < 4; ++i) {
    out[2 * i] = __uint_as_float(v.words[i] << 16);
    out[2 * i + 1] = __uint_as_float(v.words[i] & 0xffff0000u);
  }
}
template <>
__device__ inline void unpack<Float16>(const Bytes16& v, float (&out)[8]) {
  DCC_UNROLL
  for (int i = 0; i < 4; ++i) {
    out[2 * i] = toF32(Float16{static_cast<uint16_t>(v.words[i] & 0xffff)});
    out[2 * i + 1] = toF32(Float16{static_cast<uint16_t>(v.words[i] >> 16)});
  }
}

// N consecutive elements of type T, N * sizeof(T) a multiple of 16, as f32.
template <class T, int N>
__device__ inline void loadVectors(const T* at, float (&out)[N]) {
  constexpr int kPer = kPerVector<T>;
  static_assert(N % kPer == 0);
  DCC_UNROLL
  for (int i = 0; i < N / kPer; ++i) {
    float part[kPer];
    unpack<T>(loadVector(at + i * kPer), part);
    DCC_UNROLL
    for (int j = 0; j < kPer; ++j) out[i * kPer + j] = part[j];
  }
}

// Sums of N values each over the warp's lanes, N a power of two up to 32: lane l has that of value
// l % N. In every step lanes keep one half of the values and give the other away, so that it takes
// about as many shuffles as there are values. kSums: as many lanes have different values.
template <int N, int kSums = N>
__device__ float warpSums(const float (&values)[N]) {
  if constexpr (N > 1) {
    const bool upper = (threadIdx.x & (N / 2)) != 0;
    float kept[N / 2];
    DCC_UNROLL
    for (int i = 0; i < N / 2; ++i) {
      const float low = values[i], high = values[i + N / 2];
      kept[i] = (upper ? high : low) + __shfl_xor_sync(~0u, upper ? low : high, N / 2);
    }
    return warpSums<N / 2, kSums>(kept);
  } else {
    float sum = values[0];
    DCC_UNROLL
    for (int step = kSums; step < 32; step *= 2) sum += __shfl_xor_sync(~0u, sum, step);
    return sum;
  }
}

// Whether rows of `m`, a Matrix or WeightView, can be read 16 bytes at a time from any multiple of
// 16 bytes on.
template <class View>
bool inVectors(const View& m) {
  const auto per = static_cast<int64_t>(16 / byteSize(m.dtype));
  return reinterpret_cast<uintptr_t>(m.data) % 16 == 0 && m.stride % per == 0;
}

}  // namespace dcc::cuda
