// Products of any rows and types.
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/tile.cuh"

namespace dcc::cuda {
namespace {

__global__ void __launch_bounds__(kTileThreads)
    tileKernel(Matrix a, WeightView weight, const float* bias, Matrix out) {
  __shared__ TileMemory memory;
  waitForInputs();
  const int64_t row0 = int64_t{blockIdx.y} * kTile, col0 = int64_t{blockIdx.x} * kTile;
  float sums[4][4] = {};
  multiplyTile(
      memory, a.cols, a.dtype,
      [&](int r) -> const std::byte* { return row0 + r < a.rows ? a.at(row0 + r, 0) : nullptr; },
      weight.dtype,
      [&](int r) -> const std::byte* {
        return col0 + r < weight.rows ? weight.row(col0 + r) : nullptr;
      },
      sums);
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t row = row0 + thread / 16 * 4, col = col0 + thread % 16 * 4;
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      if (row + i >= out.rows || col + j >= out.cols) continue;
      store(out, row + i, col + j, sums[i][j] + (bias != nullptr ? bias[col + j] : 0));
    }
  }
}

}  // namespace

void tiledGemm(const Launch& on, const Matrix& a, const WeightView& weight, const float* bias,
               const Matrix& out) {
  if (out.rows == 0 || out.cols == 0) return;
  const dim3 grid(static_cast<unsigned>((out.cols + kTile - 1) / kTile),
                  static_cast<unsigned>((out.rows + kTile - 1) / kTile));
  launch(on, tileKernel, grid, dim3(kTileThreads), 0, a, weight, bias, out);
}

}  // namespace dcc::cuda
