// Products of any rows and types: on tensor cores where both sides are bf16 or both f16, or f32 and
// bf16, in whole vectors.
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

template <class A, class T, int kRows>
using Tile = TensorTile<A, T, kRows, 128, kRows / 2, 32>;

template <class A, class T, int kRows>
__global__ void __launch_bounds__(Tile<A, T, kRows>::kThreads) tensorKernel(Product p) {
  const int64_t row0 = int64_t{blockIdx.y} * kRows, col0 = int64_t{blockIdx.x} * 128;
  const auto* const a = reinterpret_cast<const A*>(p.a.data);
  const auto* const weight = reinterpret_cast<const T*>(p.weight.data);
  const Tile<A, T, kRows> tile(
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

template <class A, class T, int kRows>
void launchTensors(const Launch& on, const Product& p) {
  using Tiles = Tile<A, T, kRows>;
  allowShared(tensorKernel<A, T, kRows>, Tiles::kBytes);
  launch(on, tensorKernel<A, T, kRows>, gridOf(p, kRows, 128), dim3(Tiles::kThreads), Tiles::kBytes,
         p);
}

}  // namespace

void tiledGemm(const Launch& on, const Matrix& a, const WeightView& weight, const float* bias,
               const Matrix& out) {
  if (out.rows == 0 || out.cols == 0) return;
  const Product p{a, weight, bias, out};
  const bool vectors = a.cols % 8 == 0 && inVectors(a) && inVectors(weight);
  const bool bf16 = vectors && weight.dtype == DType::kBF16;
  const bool f16 = vectors && weight.dtype == DType::kF16;
  const bool few = out.rows <= 64;
  if (bf16 && a.dtype == DType::kF32) {
    launchTensors<float, BFloat16, 64>(on, p);
  } else if (bf16 && a.dtype == DType::kBF16) {
    const auto run =
        few ? launchTensors<BFloat16, BFloat16, 64> : launchTensors<BFloat16, BFloat16, 128>;
    run(on, p);
  } else if (f16 && a.dtype == DType::kF16) {
    const auto run =
        few ? launchTensors<Float16, Float16, 64> : launchTensors<Float16, Float16, 128>;
    run(on, p);
  } else {
    launch(on, tileKernel, gridOf(p, kTile, kTile), dim3(kTileThreads), 0, p);
  }
}

}  // namespace dcc::cuda
