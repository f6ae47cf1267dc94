// A block's tile of a product on tensor cores: operands come to shared memory some stages ahead of
// the products, by asynchronous copies.
//
// a may also be f32 where b is bf16. An f32 is the sum of three bf16, of its significand's first 8,
// next 8 and last 8 bits, so that three products, summed in f32, are as good as one of f32.
#pragma once

#include <type_traits>

#include "runtime/backends/cuda/async_copy.cuh"
#include "runtime/backends/cuda/mma.cuh"
#include "runtime/backends/cuda/vectors.cuh"

namespace dcc::cuda {

// kRows x kCols of a product of elements A by T, of which each warp has kWarpRows x kWarpCols.
template <class A, class T, int kRows, int kCols, int kWarpRows, int kWarpCols>
class TensorTile {
 public:
  static constexpr int kPieces = std::is_same_v<A, float> ? 3 : 1;  // of T, of an element of a
  static_assert(std::is_same_v<A, T> || (kPieces == 3 && std::is_same_v<T, BFloat16>));
  static constexpr int kWarpsAcross = kCols / kWarpCols;
  static constexpr int kThreads = kRows / kWarpRows * kWarpsAcross * 32;
  static constexpr int kDepth = 32, kStages = 4;  // of k a stage
  // Rows lie 80 bytes apart, so that eight of them have 16 bytes in different banks.
  static constexpr int kStride = kDepth + 8;
  static constexpr size_t kBytes = sizeof(T) * kStages * (kPieces * kRows + kCols) * kStride;

  // Multiplies row r of the tile's a, aRow(r) its k elements, by row c of its b, bRow(c); null:
  // zeros. k and the rows' addresses are in whole vectors. b may be copied before waitForInputs(),
  // which this calls. `shared`: kBytes. By all kThreads of the block, once.
  template <class ARow, class BRow>
  __device__ TensorTile(std::byte* shared, int64_t k, ARow aRow, BRow bRow);

  // Calls body(row, col, sums) with the sums of columns col and col + 1 of a row, for what this
  // thread has.
  template <class Body>
  __device__ void forPairs(Body body) const {
    DCC_UNROLL
    for (int i = 0; i < kWarpRows / 16; ++i) {
      DCC_UNROLL
      for (int j = 0; j < kWarpCols / 8; ++j) {
        const float* const v = sums_[i][j].values;
        body(row(i), col(j), float2{v[0], v[1]});
        body(row(i) + 8, col(j), float2{v[2], v[3]});
      }
    }
  }
  // Where every warp's first kWarpCols / 2 columns belong to one product and the others to another:
  // body(row, col, one, other), col within the half tile.
  template <class Body>
  __device__ void forHalves(Body body) const {
    constexpr int kHalf = kWarpCols / 16;
    DCC_UNROLL
    for (int i = 0; i < kWarpRows / 16; ++i) {
      DCC_UNROLL
      for (int j = 0; j < kHalf; ++j) {
        const float* const v = sums_[i][j].values;
        const float* const w = sums_[i][j + kHalf].values;
        const int at = col(j) - warpCol() / 2;
        body(row(i), at, float2{v[0], v[1]}, float2{w[0], w[1]});
        body(row(i) + 8, at, float2{v[2], v[3]}, float2{w[2], w[3]});
      }
    }
  }
  // Of row c of b then: its column in the half tile, and which product it belongs to.
  static constexpr int halfColumn(int c) {
    return c / kWarpCols * (kWarpCols / 2) + c % (kWarpCols / 2);
  }
  static constexpr bool inOther(int c) { return c % kWarpCols >= kWarpCols / 2; }

 private:
  static constexpr int kParts = kDepth / 8;           // vectors of a row a stage
  static constexpr int kStageRows = kPieces * kRows;  // of a, piece after piece; then b's
  static constexpr int kStageElements = (kStageRows + kCols) * kStride;
  // Rows that a thread copies a vector of: as many threads are idle as there are too few.
  static constexpr int rowsOf(int rows) { return (rows * kParts + kThreads - 1) / kThreads; }

  static __device__ int warpRow() {
    return static_cast<int>(threadIdx.x) / 32 / kWarpsAcross * kWarpRows;
  }
  static __device__ int warpCol() {
    return static_cast<int>(threadIdx.x) / 32 % kWarpsAcross * kWarpCols;
  }
  static __device__ int row(int i) {
    return warpRow() + i * 16 + static_cast<int>(threadIdx.x) % 32 / 4;
  }
  static __device__ int col(int j) {
    return warpCol() + j * 8 + static_cast<int>(threadIdx.x) % 4 * 2;
  }

  // This thread's vectors of rows `from` to a stage's rows.
  template <int kAll, int N>
  static __device__ void copyRows(T* stage, const T* const (&from)[N], int64_t at, int64_t k) {
    const int thread = static_cast<int>(threadIdx.x), part = thread % kParts * 8;
    DCC_UNROLL
    for (int i = 0; i < N; ++i) {
      const int r = thread / kParts + i * (kThreads / kParts);
      if (kAll * kParts % kThreads != 0 && r >= kAll) break;
      const bool valid = from[i] != nullptr && at + part < k;
      copyAsync16(stage + r * kStride + part, valid ? from[i] + at + part : stage, valid);
    }
  }

  // Its elements of a of a stage, where they are not copied as they are.
  struct Pending {
    float values[rowsOf(kRows)][8];
  };
  static __device__ void loadRows(const A* const (&from)[rowsOf(kRows)], int64_t at, int64_t k,
                                  Pending& pending);
  static __device__ void storeRows(T* stage, const Pending& pending);

  __device__ void multiplyStage(const T* stage);

  FragmentC sums_[kWarpRows / 16][kWarpCols / 8] = {};
};

// The words of the 16-bit pieces whose f32 are `values`; what they lack of them stays.
__device__ inline Bytes16 takePieces(float (&values)[8]) {
  Bytes16 pieces;
  DCC_UNROLL
  for (int i = 0; i < 4; ++i) {
    const uint32_t low = __float_as_uint(values[2 * i]) & 0xffff0000u;
    const uint32_t high = __float_as_uint(values[2 * i + 1]) & 0xffff0000u;
    pieces.words[i] = low >> 16 | high;
  }
  DCC_UNROLL
  for (int i = 0; i < 8; ++i) {
    const float taken = __uint_as_float(__float_as_uint(values[i]) & 0xffff0000u);
    // Of infinity nothing is left.
    values[i] = taken == values[i] ? 0 : values[i] - taken;
  }
  return pieces;
}

template <class A, class T, int kRows, int kCols, int kWarpRows, int kWarpCols>
__device__ void TensorTile<A, T, kRows, kCols, kWarpRows, kWarpCols>::loadRows(
    const A* const (&from)[rowsOf(kRows)], int64_t at, int64_t k, Pending& pending) {
  const int part = static_cast<int>(threadIdx.x) % kParts * 8;
  DCC_UNROLL
  for (int i = 0; i < rowsOf(kRows); ++i) {
    DCC_UNROLL
    for (int j = 0; j < 8; ++j) pending.values[i][j] = 0;
    if (from[i] != nullptr && at + part < k) {
      loadVectors<A>(from[i] + at + part, pending.values[i]);
    }
  }
}

template <class A, class T, int kRows, int kCols, int kWarpRows, int kWarpCols>
__device__ void TensorTile<A, T, kRows, kCols, kWarpRows, kWarpCols>::storeRows(
    T* stage, const Pending& pending) {
  const int thread = static_cast<int>(threadIdx.x), part = thread % kParts * 8;
  DCC_UNROLL
  for (int i = 0; i < rowsOf(kRows); ++i) {
    const int r = thread / kParts + i * (kThreads / kParts);
    if (kRows * kParts % kThreads != 0 && r >= kRows) break;
    float left[8];
    DCC_UNROLL
    for (int j = 0; j < 8; ++j) left[j] = pending.values[i][j];
    DCC_UNROLL
    for (int piece = 0; piece < kPieces; ++piece) {
      T* const to = stage + (piece * kRows + r) * kStride + part;
      *reinterpret_cast<Bytes16*>(to) = takePieces(left);
    }
  }
}

template <class A, class T, int kRows, int kCols, int kWarpRows, int kWarpCols>
template <class ARow, class BRow>
__device__ TensorTile<A, T, kRows, kCols, kWarpRows, kWarpCols>::TensorTile(std::byte* shared,
                                                                            int64_t k, ARow aRow,
                                                                            BRow bRow) {
  T* const stages = reinterpret_cast<T*>(shared);
  const int first = static_cast<int>(threadIdx.x) / kParts;
  const auto stageOf = [&](int64_t i) { return stages + i % kStages * kStageElements; };
  const A* a[rowsOf(kRows)];
  const T* b[rowsOf(kCols)];
  DCC_UNROLL
  for (int i = 0; i < rowsOf(kCols); ++i) {
    const int r = first + i * (kThreads / kParts);
    b[i] = r < kCols ? bRow(r) : nullptr;
  }
  for (int s = 0; s < kStages - 1; ++s) {
    copyRows<kCols>(stageOf(s) + kStageRows * kStride, b, s * kDepth, k);
  }
  waitForInputs();
  DCC_UNROLL
  for (int i = 0; i < rowsOf(kRows); ++i) {
    const int r = first + i * (kThreads / kParts);
    a[i] = r < kRows ? aRow(r) : nullptr;
  }
  Pending pending;
  for (int s = 0; s < kStages - 1; ++s) {
    if constexpr (kPieces == 1) {
      copyRows<kRows>(stageOf(s), a, s * kDepth, k);
    } else {
      loadRows(a, s * kDepth, k, pending);
      storeRows(stageOf(s), pending);
    }
    commitCopies();
  }
  const int64_t turns = (k + kDepth - 1) / kDepth;
  for (int64_t i = 0; i < turns; ++i) {
    waitForCopies<kStages - 2>();
    // What all threads have brought is there, and nobody reads the stage that is filled next.
    __syncthreads();
    const int64_t next = i + kStages - 1;
    if constexpr (kPieces == 1) {
      copyRows<kRows>(stageOf(next), a, next * kDepth, k);
    } else {
      loadRows(a, next * kDepth, k, pending);
    }
    copyRows<kCols>(stageOf(next) + kStageRows * kStride, b, next * kDepth, k);
    commitCopies();
    multiplyStage(stageOf(i));
    if constexpr (kPieces > 1) storeRows(stageOf(next), pending);
  }
}

template <class A, class T, int kRows, int kCols, int kWarpRows, int kWarpCols>
__device__ void TensorTile<A, T, kRows, kCols, kWarpRows, kWarpCols>::multiplyStage(
    const T* stage) {
  const unsigned lane = threadIdx.x % 32;
  const T* const b = stage + kStageRows * kStride;
  DCC_UNROLL
  for (int at = 0; at < kDepth; at += 16) {
    FragmentB right[kWarpCols / 8];
    DCC_UNROLL
    for (int j = 0; j < kWarpCols / 16; ++j) {
      const FourMatrices m =
          loadMatrices(transposedRow(b + (warpCol() + j * 16) * kStride + at, kStride, lane));
      right[2 * j] = {{m.words[0], m.words[1]}};
      right[2 * j + 1] = {{m.words[2], m.words[3]}};
    }
    // The smallest pieces first.
    DCC_UNROLL
    for (int piece = kPieces - 1; piece >= 0; --piece) {
      DCC_UNROLL
      for (int i = 0; i < kWarpRows / 16; ++i) {
        const int row = piece * kRows + warpRow() + i * 16;
        const FourMatrices m = loadMatrices(fragmentRow(stage + row * kStride + at, kStride, lane));
        const FragmentA left = {{m.words[0], m.words[1], m.words[2], m.words[3]}};
        DCC_UNROLL
        for (int j = 0; j < kWarpCols / 8; ++j) multiplyAdd<T>(left, right[j], sums_[i][j]);
      }
    }
  }
}

}  // namespace dcc::cuda
