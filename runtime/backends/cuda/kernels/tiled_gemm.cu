// Products of any rows and types: on tensor cores where both sides are bf16 or both f16, in whole
// vectors.
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/tensor_tile.cuh"
#include "runtime/backends/cuda/tile.cuh"

namespace dcc::cuda {
namespace {

struct Product {
  Matrix a;
  WeightView weight;
  const float* bias = nullptr;
  Matrix out;
};

__device__ void storeBiased(const Product& p, int64_t row, int64_t col, float x) {
  if (row >= p.out.rows || col >= p.out.cols) return;
  store(p.out, row, col, x + (p.bias != nullptr ? p.bias[col] : 0));
}

__global__ void __launch_bounds__(kTileThreads) tileKernel(Product p) {
  __shared__ TileMemory memory;
  waitForInputs();
  const int64_t row0 = int64_t{blockIdx.y} * kTile, col0 = int64_t{blockIdx.x} * kTile;
  float sums[4][4] = {};
  multiplyTile(
      memory, p.a.cols, p.a.dtype,
      [&](int r) -> const std::byte* {
        return row0 + r < p.a.rows ? p.a.at(row0 + r, 0) : nullptr;
      },
      p.weight.dtype,
      [&](int r) -> const std::byte* {
        return col0 + r < p.weight.rows ? p.weight.row(col0 + r) : nullptr;
      },
      sums);
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t row = row0 + thread / 16 * 4, col = col0 + thread % 16 * 4;
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) storeBiased(p, row + i, col + j, sums[i][j]);
  }
}

template <class T, int kRows>
using Tile = TensorTile<T, kRows, 128, kRows / 2, 32>;

template <class T, int kRows>
__global__ void __launch_bounds__(Tile<T, kRows>::kThreads) tensorKernel(Product p) {
  const int64_t row0 = int64_t{blockIdx.y} * kRows, col0 = int64_t{blockIdx.x} * 128;
  const auto* const a = reinterpret_cast<const T*>(p.a.data);
  const auto* const weight = reinterpret_cast<const T*>(p.weight.data);
  const Tile<T, kRows> tile(
      dynamicShared<std::byte>(), p.a.cols,
      [&](int r) { return row0 + r < p.a.rows ? a + (row0 + r) * p.a.stride : nullptr; },
      [&](int r) {
        return col0 + r < p.weight.rows ? weight + (col0 + r) * p.weight.stride : nullptr;
      });
  tile.forPairs([&](int r, int c, float2 sums) {
    storeBiased(p, row0 + r, col0 + c, sums.x);
    storeBiased(p, row0 + r, col0 + c + 1, sums.y);
  });
}

dim3 gridOf(const Product& p, int64_t rows, int64_t cols) {
  return {static_cast<unsigned>((p.out.cols + cols - 1) / cols),
          static_cast<unsigned>((p.out.rows + rows - 1) / rows)};
}

template <class T, int kRows>
void launchTensors(const Launch& on, const Product& p) {
  allowShared(tensorKernel<T, kRows>, Tile<T, kRows>::kBytes);
  launch(on, tensorKernel<T, kRows>, gridOf(p, kRows, 128), dim3(Tile<T, kRows>::kThreads),
         Tile<T, kRows>::kBytes, p);
}

}  // namespace

void tiledGemm(const Launch& on, const Matrix& a, const WeightView& weight, const float* bias,
               const Matrix& out) {
  if (out.rows == 0 || out.cols == 0) return;
  const Product p{a, weight, bias, out};
  const bool tensors = a.dtype == weight.dtype && a.dtype != DType::kF32 && a.cols % 8 == 0 &&
                       inVectors(a) && inVectors(weight);
  const bool few = out.rows <= 64;
  if (tensors && a.dtype == DType::kBF16) {
    few ? launchTensors<BFloat16, 64>(on, p) : launchTensors<BFloat16, 128>(on, p);
  } else if (tensors) {
    few ? launchTensors<Float16, 64>(on, p) : launchTensors<Float16, 128>(on, p);
  } else {
    launch(on, tileKernel, gridOf(p, kTile, kTile), dim3(kTileThreads), 0, p);
  }
}

}  // namespace dcc::cuda
