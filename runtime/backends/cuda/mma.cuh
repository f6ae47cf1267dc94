// Products of small matrices by a warp: mma.sync.m16n8k16 of bf16 or f16 with sums in f32, and
// ldmatrix, which brings operands from shared memory. Source of the layouts: PTX ISA, "Warp Level
// Matrix Multiply-Accumulate Instructions".
//
// Lane l has g = l / 4 and t = l % 4. A register of 16-bit elements holds two neighbours, the first
// in the lower half.
#pragma once

#include "runtime/backends/cuda/elements.cuh"

namespace dcc::cuda {

// [16, 16]: words 0 to 3 are rows g, g + 8, g, g + 8 of columns 2t, 2t, 2t + 8, 2t + 8 (and next).
struct FragmentA {
  uint32_t words[4];
};
// [16, 8]: words 0 and 1 are rows 2t and 2t + 8 (and next) of column g.
struct FragmentB {
  uint32_t words[2];
};
// [16, 8] of f32: row g, columns 2t and 2t + 1; row g + 8, the same.
struct FragmentC {
  float values[4];
};
// Four matrices of [8, 8] 16-bit elements: of matrix i word i is row g, columns 2t and 2t + 1, or,
// transposed, rows 2t and 2t + 1 of column g.
struct FourMatrices {
  uint32_t words[4];
};

#ifdef DCC_CUDA_EMULATION

namespace emulated {

// Every lane's `own`, where the lane has it. No lane may go on before all have read.
template <class F>
std::array<const F*, 32> ofAllLanes(const F& own) {
  const auto& all = emulation::exchange(~0u, reinterpret_cast<uint64_t>(&own));
  std::array<const F*, 32> pointers;
  for (int i = 0; i < 32; ++i) pointers[i] = reinterpret_cast<const F*>(all[i]);
  return pointers;
}

template <class T>
float half(uint32_t word, int which) {
  return toF32(T{static_cast<uint16_t>(word >> 16 * which)});
}

// A row is read where its lane comes by: what others have still to write there is missing.
inline FourMatrices loadMatrices(const void* row, bool transposed) {
  const unsigned lane = emulation::lane();
  std::array<uint16_t, 8> own;
  std::memcpy(own.data(), row, sizeof(own));
  const auto rows = ofAllLanes(own);
  const auto at = [&](int matrix, unsigned r, unsigned c) {
    return uint32_t{(*rows[matrix * 8 + r])[c]};
  };
  FourMatrices out;
  const unsigned g = lane / 4, t = lane % 4;
  for (int i = 0; i < 4; ++i) {
    out.words[i] = transposed ? at(i, 2 * t, g) | at(i, 2 * t + 1, g) << 16
                              : at(i, g, 2 * t) | at(i, g, 2 * t + 1) << 16;
  }
  emulation::warpBarrier(~0u);
  return out;
}

}  // namespace emulated

template <class T>
void multiplyAdd(const FragmentA& a, const FragmentB& b, FragmentC& sums) {
  const auto all_a = emulated::ofAllLanes(a);
  const auto all_b = emulated::ofAllLanes(b);
  const int g = static_cast<int>(emulation::lane() / 4),
            t = static_cast<int>(emulation::lane() % 4);
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8, col = 2 * t + i % 2;
    for (int k = 0; k < 16; ++k) {
      const uint32_t left = all_a[row % 8 * 4 + k % 8 / 2]->words[row / 8 + k / 8 * 2];
      const uint32_t right = all_b[col * 4 + k % 8 / 2]->words[k / 8];
      sums.values[i] += emulated::half<T>(left, k % 2) * emulated::half<T>(right, k % 2);
    }
  }
  emulation::warpBarrier(~0u);
}
inline FourMatrices loadMatrices(const void* row) { return emulated::loadMatrices(row, false); }
inline FourMatrices loadTransposed(const void* row) { return emulated::loadMatrices(row, true); }
template <class T>
uint32_t packPair(float first, float second) {
  return fromF32<T>(first).bits | uint32_t{fromF32<T>(second).bits} << 16;
}

#else

// sums += a b, by all lanes of the warp. T: BFloat16 or Float16.
template <class T>
__device__ void multiplyAdd(const FragmentA& a, const FragmentB& b, FragmentC& sums);
template <>
__device__ inline void multiplyAdd<BFloat16>(const FragmentA& a, const FragmentB& b,
                                             FragmentC& sums) {
  float* c = sums.values;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.words[0]), "r"(a.words[1]), "r"(a.words[2]), "r"(a.words[3]), "r"(b.words[0]),
        "r"(b.words[1]));
}
template <>
__device__ inline void multiplyAdd<Float16>(const FragmentA& a, const FragmentB& b,
                                            FragmentC& sums) {
  float* c = sums.values;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.words[0]), "r"(a.words[1]), "r"(a.words[2]), "r"(a.words[3]), "r"(b.words[0]),
        "r"(b.words[1]));
}

// By all lanes of the warp: lane 8i + r gives row r of matrix i, 16 bytes in shared memory at a
// multiple of 16.
__device__ inline FourMatrices loadMatrices(const void* row) {
  FourMatrices m;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m.words[0]), "=r"(m.words[1]), "=r"(m.words[2]), "=r"(m.words[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
  return m;
}
__device__ inline FourMatrices loadTransposed(const void* row) {
  FourMatrices m;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m.words[0]), "=r"(m.words[1]), "=r"(m.words[2]), "=r"(m.words[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
               : "memory");
  return m;
}

// Both rounded, as neighbours in a register.
template <class T>
__device__ uint32_t packPair(float first, float second);
template <>
__device__ inline uint32_t packPair<BFloat16>(float first, float second) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
}
template <>
__device__ inline uint32_t packPair<Float16>(float first, float second) {
  uint32_t pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
}

#endif

// Of a row-major matrix in shared memory, whose rows lie `stride` elements apart: what lane l gives
// loadMatrices() for a FragmentA of the [16, 16] elements at `from`, and loadTransposed() for two
// FragmentBs, of columns 0 to 7 and 8 to 15.
template <class T>
__device__ const T* fragmentRow(const T* from, int stride, unsigned lane) {
  return from + lane % 16 * stride + lane / 16 * 8;
}
// And loadMatrices() for two FragmentBs of the transposed matrix: of rows 0 to 7 and 8 to 15.
template <class T>
__device__ const T* transposedRow(const T* from, int stride, unsigned lane) {
  return from + (lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8;
}

}  // namespace dcc::cuda
