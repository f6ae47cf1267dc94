// A block's tile of a product of 16-bit elements on tensor cores: operands come to shared memory by
// asynchronous copies, some stages ahead of the products.
#pragma once

#include "runtime/backends/cuda/async_copy.cuh"
#include "runtime/backends/cuda/mma.cuh"
#include "runtime/backends/cuda/vectors.cuh"

namespace dcc::cuda {

// kRows x kCols of elements T, of which each warp has kWarpRows x kWarpCols.
template <class T, int kRows, int kCols, int kWarpRows, int kWarpCols>
class TensorTile {
 public:
  static constexpr int kWarpsAcross = kCols / kWarpCols;
  static constexpr int kThreads = kRows / kWarpRows * kWarpsAcross * 32;
  static constexpr int kDepth = 32, kStages = 4;  // of k a stage
  // Rows lie 80 bytes apart, so that eight of them have 16 bytes in different banks.
  static constexpr int kStride = kDepth + 8;
  static constexpr size_t kBytes = sizeof(T) * kStages * (kRows + kCols) * kStride;

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
  static constexpr int kParts = kDepth / 8;  // vectors of a row a stage
  static constexpr int kStageElements = (kRows + kCols) * kStride;
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

  __device__ void multiplyStage(const T* a, const T* b);

  FragmentC sums_[kWarpRows / 16][kWarpCols / 8] = {};
};

template <class T, int kRows, int kCols, int kWarpRows, int kWarpCols>
template <class ARow, class BRow>
__device__ TensorTile<T, kRows, kCols, kWarpRows, kWarpCols>::TensorTile(std::byte* shared,
                                                                         int64_t k, ARow aRow,
                                                                         BRow bRow) {
  T* const stages = reinterpret_cast<T*>(shared);
  const int first = static_cast<int>(threadIdx.x) / kParts;
  const auto stageOf = [&](int64_t i) { return stages + i % kStages * kStageElements; };
  const T* a[rowsOf(kRows)];
  const T* b[rowsOf(kCols)];
  DCC_UNROLL
  for (int i = 0; i < rowsOf(kCols); ++i) {
    const int r = first + i * (kThreads / kParts);
    b[i] = r < kCols ? bRow(r) : nullptr;
  }
  for (int s = 0; s < kStages - 1; ++s) {
    copyRows<kCols>(stageOf(s) + kRows * kStride, b, s * kDepth, k);
  }
  waitForInputs();
  DCC_UNROLL
  for (int i = 0; i < rowsOf(kRows); ++i) {
    const int r = first + i * (kThreads / kParts);
    a[i] = r < kRows ? aRow(r) : nullptr;
  }
  for (int s = 0; s < kStages - 1; ++s) {
    copyRows<kRows>(stageOf(s), a, s * kDepth, k);
    commitCopies();
  }
  const int64_t turns = (k + kDepth - 1) / kDepth;
  for (int64_t i = 0; i < turns; ++i) {
    waitForCopies<kStages - 2>();
    // What all threads have copied is there, and nobody reads the stage that is filled next.
    __syncthreads();
    const int64_t next = i + kStages - 1;
    copyRows<kRows>(stageOf(next), a, next * kDepth, k);
    copyRows<kCols>(stageOf(next) + kRows * kStride, b, next * kDepth, k);
    commitCopies();
    multiplyStage(stageOf(i), stageOf(i) + kRows * kStride);
  }
}

template <class T, int kRows, int kCols, int kWarpRows, int kWarpCols>
__device__ void TensorTile<T, kRows, kCols, kWarpRows, kWarpCols>::multiplyStage(const T* a,
                                                                                 const T* b) {
  const unsigned lane = threadIdx.x % 32;
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
    DCC_UNROLL
    for (int i = 0; i < kWarpRows / 16; ++i) {
      const FourMatrices m =
          loadMatrices(fragmentRow(a + (warpRow() + i * 16) * kStride + at, kStride, lane));
      const FragmentA left = {{m.words[0], m.words[1], m.words[2], m.words[3]}};
      DCC_UNROLL
      for (int j = 0; j < kWarpCols / 8; ++j) multiplyAdd<T>(left, right[j], sums_[i][j]);
    }
  }
}

}  // namespace dcc::cuda
