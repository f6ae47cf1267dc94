// A block's tile of a product by ordinary arithmetic: operands of any types pass through shared
// memory as f32, each thread keeps 4 x 4 sums.
#pragma once

#include "runtime/backends/cuda/elements.cuh"

namespace dcc::cuda {

inline constexpr int kTile = 64, kTileDepth = 16, kTileThreads = 256;

// [k, row], so that a thread reads the four rows it needs at once.
struct TileMemory {
  alignas(16) float a[kTileDepth][kTile + 4];
  alignas(16) float b[kTileDepth][kTile + 4];
};

// Elements [i, i + 4) of a row of k elements, zeros behind its end.
__device__ inline void loadFour(const std::byte* row, DType type, int64_t i, int64_t k,
                                float (&out)[4]) {
  DCC_UNROLL
  for (int j = 0; j < 4; ++j) out[j] = i + j < k ? load(row, type, i + j) : 0;
}

// Adds to sums[i][j] the product of row 4 (thread / 16) + i of the tile's `a`, aRow(r) its address,
// and row 4 (thread % 16) + j of its `b`, bRow(r); null: zeros. By all kTileThreads of the block.
template <class ARow, class BRow>
__device__ void multiplyTile(TileMemory& memory, int64_t k, DType a_type, ARow aRow, DType b_type,
                             BRow bRow, float (&sums)[4][4]) {
  const int thread = static_cast<int>(threadIdx.x);
  const int row = thread / 4, part = thread % 4 * 4;
  const std::byte* const from_a = aRow(row);
  const std::byte* const from_b = bRow(row);
  const int top = thread / 16 * 4, left = thread % 16 * 4;
  for (int64_t at = 0; at < k; at += kTileDepth) {
    float a[4] = {}, b[4] = {};
    if (from_a != nullptr) loadFour(from_a, a_type, at + part, k, a);
    if (from_b != nullptr) loadFour(from_b, b_type, at + part, k, b);
    __syncthreads();
    DCC_UNROLL
    for (int j = 0; j < 4; ++j) {
      memory.a[part + j][row] = a[j];
      memory.b[part + j][row] = b[j];
    }
    __syncthreads();
    DCC_UNROLL
    for (int d = 0; d < kTileDepth; ++d) {
      const float4 x = *reinterpret_cast<const float4*>(&memory.a[d][top]);
      const float4 y = *reinterpret_cast<const float4*>(&memory.b[d][left]);
      const float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
      DCC_UNROLL
      for (int i = 0; i < 4; ++i) {
        DCC_UNROLL
        for (int j = 0; j < 4; ++j) sums[i][j] += xs[i] * ys[j];
      }
    }
  }
  __syncthreads();
}

}  // namespace dcc::cuda
