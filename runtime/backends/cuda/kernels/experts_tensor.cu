// experts for many rows on tensor cores: tiles of sorted requests, as small as most experts' lists
// are short.
#include "runtime/backends/cuda/experts.cuh"
#include "runtime/backends/cuda/tensor_tile.cuh"

namespace dcc::cuda {
namespace {

constexpr int kCols = 128;

// Long lists: tiles of 64 requests. Short ones: 16, and the weights' way from memory counts.
template <class A, class T, int kRows>
using Tile = TensorTile<A, T, kRows, kCols, kRows == 64 ? 32 : 16, kRows == 64 ? 32 : 16>;

// Gate and up of kCols / 2 columns.
template <class A, class T, int kRows>
__global__ void __launch_bounds__(Tile<A, T, kRows>::kThreads)
    hiddenKernel(Matrix x, Matrix gates, Experts weights, ExpertLists lists, Matrix hidden) {
  using Tiles = Tile<A, T, kRows>;
  waitForInputs();
  const ExpertTile tile = findTile(lists, kRows, static_cast<int32_t>(blockIdx.y));
  if (tile.rows == 0) return;
  const int64_t width = hidden.cols, col0 = int64_t{blockIdx.x} * (kCols / 2);
  const auto* const in = reinterpret_cast<const A*>(x.data);
  const auto* const gate = reinterpret_cast<const T*>(weights.gate.data);
  const auto* const up = reinterpret_cast<const T*>(weights.up.data);
  const auto rowOf = [&](int r) { return lists.sorted[tile.begin + r] / lists.chosen; };
  const Tiles products(
      dynamicShared<std::byte>(), x.cols,
      [&](int r) { return r < tile.rows ? in + rowOf(r) * x.stride : nullptr; },
      [&](int c) -> const T* {
        const int64_t col = col0 + Tiles::halfColumn(c), row = tile.expert * width + col;
        if (col >= width) return nullptr;
        return Tiles::inOther(c) ? up + row * weights.up.stride : gate + row * weights.gate.stride;
      });
  products.forHalves([&](int r, int c, float2 g, float2 u) {
    if (r >= tile.rows) return;
    const float factor = f32Row(gates, rowOf(r))[tile.expert];
    const float gated[2] = {g.x, g.y}, ups[2] = {u.x, u.y};
    DCC_UNROLL
    for (int i = 0; i < 2; ++i) {
      const int64_t col = col0 + c + i;
      if (col >= width) break;
      store(hidden, tile.begin + r, col,
            gatedValue(weights, tile.expert, col, factor, gated[i], ups[i]));
    }
  });
}

template <class A, class T, int kRows>
__global__ void __launch_bounds__(Tile<A, T, kRows>::kThreads)
    resultsKernel(Matrix hidden, WeightView down, ExpertLists lists, Matrix results) {
  waitForInputs();
  const ExpertTile tile = findTile(lists, kRows, static_cast<int32_t>(blockIdx.y));
  if (tile.rows == 0) return;
  const int64_t cols = results.cols, col0 = int64_t{blockIdx.x} * kCols;
  const auto* const in = reinterpret_cast<const A*>(hidden.data);
  const auto* const weight = reinterpret_cast<const T*>(down.data);
  const Tile<A, T, kRows> products(
      dynamicShared<std::byte>(), hidden.cols,
      [&](int r) { return r < tile.rows ? in + (tile.begin + r) * hidden.stride : nullptr; },
      [&](int c) {
        const int64_t row = tile.expert * cols + col0 + c;
        return col0 + c < cols ? weight + row * down.stride : nullptr;
      });
  products.forPairs([&](int r, int c, float2 sums) {
    if (r >= tile.rows) return;
    float* const to = f32Row(results, tile.begin + r) + col0;
    if (col0 + c < cols) to[c] = sums.x;
    if (col0 + c + 1 < cols) to[c + 1] = sums.y;
  });
}

unsigned blocksOf(int64_t n, int64_t per) { return static_cast<unsigned>((n + per - 1) / per); }

template <class A, class T, int kRows>
void launchHidden(const Launch& on, const Matrix& x, const Matrix& gates, const Experts& weights,
                  const ExpertLists& lists, const Matrix& hidden) {
  using Tiles = Tile<A, T, kRows>;
  allowShared(hiddenKernel<A, T, kRows>, Tiles::kBytes);
  const dim3 grid(blocksOf(hidden.cols, kCols / 2),
                  static_cast<unsigned>(expertTiles(lists, kRows)));
  launch(on, hiddenKernel<A, T, kRows>, grid, dim3(Tiles::kThreads), Tiles::kBytes, x, gates,
         weights, lists, hidden);
}
template <class A, class T, int kRows>
void launchResults(const Launch& on, const Matrix& hidden, const WeightView& down,
                   const ExpertLists& lists, const Matrix& results) {
  using Tiles = Tile<A, T, kRows>;
  allowShared(resultsKernel<A, T, kRows>, Tiles::kBytes);
  const dim3 grid(blocksOf(results.cols, kCols), static_cast<unsigned>(expertTiles(lists, kRows)));
  launch(on, resultsKernel<A, T, kRows>, grid, dim3(Tiles::kThreads), Tiles::kBytes, hidden, down,
         lists, results);
}

// Whether these meet on tensor cores.
bool meet(const Matrix& in, const WeightView& weight) {
  const bool types = (in.dtype == weight.dtype && in.dtype != DType::kF32) ||
                     (in.dtype == DType::kF32 && weight.dtype == DType::kBF16);
  return types && in.cols % 8 == 0 && inVectors(in) && inVectors(weight);
}

// Whether an expert has many requests, on the average of those there may be.
bool longLists(const ExpertLists& lists) { return lists.rows * lists.chosen >= 24 * lists.experts; }

}  // namespace

bool tensorHidden(const Launch& on, const Matrix& x, const Matrix& gates, const Experts& weights,
                  const ExpertLists& lists, const Matrix& hidden) {
  if (!meet(x, weights.gate) || !meet(x, weights.up)) return false;
  const auto run = [&](auto many, auto few) {
    (longLists(lists) ? many : few)(on, x, gates, weights, lists, hidden);
  };
  if (x.dtype == DType::kF32) {
    run(launchHidden<float, BFloat16, 64>, launchHidden<float, BFloat16, 16>);
  } else if (x.dtype == DType::kBF16) {
    run(launchHidden<BFloat16, BFloat16, 64>, launchHidden<BFloat16, BFloat16, 16>);
  } else {
    run(launchHidden<Float16, Float16, 64>, launchHidden<Float16, Float16, 16>);
  }
  return true;
}

bool tensorResults(const Launch& on, const Matrix& hidden, const WeightView& down,
                   const ExpertLists& lists, const Matrix& results) {
  if (!meet(hidden, down)) return false;
  const auto run = [&](auto many, auto few) {
    (longLists(lists) ? many : few)(on, hidden, down, lists, results);
  };
  // hiddenType() is f32 or bf16.
  if (hidden.dtype == DType::kF32) {
    run(launchResults<float, BFloat16, 64>, launchResults<float, BFloat16, 16>);
  } else {
    run(launchResults<BFloat16, BFloat16, 64>, launchResults<BFloat16, BFloat16, 16>);
  }
  return true;
}

}  // namespace dcc::cuda
