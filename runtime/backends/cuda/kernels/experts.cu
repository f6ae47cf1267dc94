// experts: requests sorted by expert, two products of tiles of rows that ask for the same one, and
// a sum over each row's requests, in the experts' order.
#include "runtime/backends/cuda/experts.cuh"
#include "runtime/backends/cuda/tile.cuh"

namespace dcc::cuda {
namespace {

constexpr int kThreads = 256;

// Rows [from, from + cols) of a weight, null behind them.
__device__ inline const std::byte* rowOr(const WeightView& w, int64_t from, int64_t row,
                                         int64_t rows) {
  return row < rows ? w.row(from + row) : nullptr;
}

__global__ void __launch_bounds__(kTileThreads)
    hiddenKernel(Matrix x, Matrix gates, Experts weights, ExpertLists lists, Matrix hidden) {
  __shared__ TileMemory memory;
  waitForInputs();
  const ExpertTile tile = findTile(lists, kTile, static_cast<int32_t>(blockIdx.y));
  if (tile.rows == 0) return;
  const int64_t width = hidden.cols, col0 = int64_t{blockIdx.x} * kTile;
  const auto rowOf = [&](int r) { return lists.sorted[tile.begin + r] / lists.chosen; };
  const auto input = [&](int r) -> const std::byte* {
    return r < tile.rows ? x.at(rowOf(r), 0) : nullptr;
  };
  float gate[4][4] = {}, up[4][4] = {};
  multiplyTile(
      memory, x.cols, x.dtype, input, weights.gate.dtype,
      [&](int r) { return rowOr(weights.gate, tile.expert * width, col0 + r, width); }, gate);
  multiplyTile(
      memory, x.cols, x.dtype, input, weights.up.dtype,
      [&](int r) { return rowOr(weights.up, tile.expert * width, col0 + r, width); }, up);
  const int top = static_cast<int>(threadIdx.x) / 16 * 4;
  const int64_t left = col0 + threadIdx.x % 16 * 4;
  for (int i = 0; i < 4 && top + i < tile.rows; ++i) {
    const float factor = f32Row(gates, rowOf(top + i))[tile.expert];
    for (int j = 0; j < 4 && left + j < width; ++j) {
      store(hidden, tile.begin + top + i, left + j,
            gatedValue(weights, tile.expert, left + j, factor, gate[i][j], up[i][j]));
    }
  }
}

__global__ void __launch_bounds__(kTileThreads)
    resultsKernel(Matrix hidden, WeightView down, ExpertLists lists, Matrix results) {
  __shared__ TileMemory memory;
  waitForInputs();
  const ExpertTile tile = findTile(lists, kTile, static_cast<int32_t>(blockIdx.y));
  if (tile.rows == 0) return;
  const int64_t cols = results.cols, col0 = int64_t{blockIdx.x} * kTile;
  float sums[4][4] = {};
  multiplyTile(
      memory, hidden.cols, hidden.dtype,
      [&](int r) -> const std::byte* {
        return r < tile.rows ? hidden.at(tile.begin + r, 0) : nullptr;
      },
      down.dtype, [&](int r) { return rowOr(down, tile.expert * cols, col0 + r, cols); }, sums);
  const int top = static_cast<int>(threadIdx.x) / 16 * 4;
  const int64_t left = col0 + threadIdx.x % 16 * 4;
  for (int i = 0; i < 4 && top + i < tile.rows; ++i) {
    for (int j = 0; j < 4 && left + j < cols; ++j) {
      f32Row(results, tile.begin + top + i)[left + j] = sums[i][j];
    }
  }
}

// A thread for each element of out.
__global__ void __launch_bounds__(kThreads)
    combineKernel(Matrix gates, bool scaled_inputs, ExpertLists lists, Matrix results, Matrix out) {
  waitForInputs();
  const int64_t row = blockIdx.x, col = int64_t{blockIdx.y} * kThreads + threadIdx.x;
  if (col >= out.cols) return;
  float sum = 0;
  for (int64_t i = row * lists.chosen; i < (row + 1) * lists.chosen; ++i) {
    const int32_t expert = lists.wanted[i];
    if (expert < 0) break;
    const float result = f32Row(results, lists.place[i])[col];
    sum += scaled_inputs ? result : f32Row(gates, row)[expert] * result;
  }
  store(out, row, col, sum);
}

unsigned blocksOf(int64_t n, int64_t per) { return static_cast<unsigned>((n + per - 1) / per); }

// Takes parts of scratch, one after the other, each 64-byte aligned.
class Parts {
 public:
  explicit Parts(std::byte* at) : at_(at) {}
  template <class T>
  T* take(int64_t count) {
    std::byte* const part = at_ == nullptr ? nullptr : at_ + bytes_;
    bytes_ += (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return reinterpret_cast<T*>(part);
  }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* at_;
  size_t bytes_ = 0;
};

struct Scratch {
  ExpertLists lists;
  std::byte* hidden;  // of f32 at most
  float* results;
  size_t bytes;

  Scratch(std::byte* at, int64_t rows, int64_t width, int64_t out, int64_t experts,
          int64_t chosen) {
    chosen = chosen > 0 ? std::min(chosen, experts) : experts;
    const int64_t requests = rows * chosen;
    Parts parts(at);
    lists = {rows, experts, chosen};
    lists.wanted = parts.take<int32_t>(requests);
    lists.place = parts.take<int32_t>(requests);
    lists.sorted = parts.take<int32_t>(requests);
    lists.first = parts.take<int32_t>(experts + 1);
    // Few rows have room for all of them at each expert.
    const int64_t few = std::min(rows, kGemvRows) * std::min(experts, kGemvRows * chosen);
    hidden = reinterpret_cast<std::byte*>(parts.take<float>(std::max(requests, few) * width));
    results = parts.take<float>(requests * out);
    bytes = parts.bytes();
  }
};

}  // namespace

size_t expertsScratchBytes(int64_t rows, int64_t width, int64_t out, int64_t experts,
                           int64_t chosen) {
  return Scratch(nullptr, rows, width, out, experts, chosen).bytes;
}

void experts(const Launch& on, const Matrix& x, const Matrix& gates, const Experts& weights,
             const Matrix& out, std::byte* scratch) {
  if (out.rows == 0 || out.cols == 0) return;
  const int64_t width = weights.down.cols;
  const Scratch s(scratch, out.rows, width, out.cols, gates.cols, weights.chosen);
  const int64_t requests = s.lists.rows * s.lists.chosen;
  const int64_t live = std::min(gates.cols, requests);
  const Matrix few{s.hidden, hiddenType(x, weights), live * out.rows, width, width};
  if (expertsOfFewRows(on, x, gates, weights, few, out)) return;
  const Matrix hidden{s.hidden, hiddenType(x, weights), requests, width, width};
  const Matrix results{reinterpret_cast<std::byte*>(s.results), DType::kF32, requests, out.cols,
                       out.cols};
  makeExpertLists(on, gates, s.lists);
  const auto tiles = static_cast<unsigned>(expertTiles(s.lists, kTile));
  if (!tensorHidden(on, x, gates, weights, s.lists, hidden)) {
    launch(on, hiddenKernel, dim3(blocksOf(width, kTile), tiles), dim3(kTileThreads), 0, x, gates,
           weights, s.lists, hidden);
  }
  if (!tensorResults(on, hidden, weights.down, s.lists, results)) {
    launch(on, resultsKernel, dim3(blocksOf(out.cols, kTile), tiles), dim3(kTileThreads), 0, hidden,
           weights.down, s.lists, results);
  }
  launch(on, combineKernel, dim3(static_cast<unsigned>(out.rows), blocksOf(out.cols, kThreads)),
         dim3(kThreads), 0, gates, weights.scaled_inputs, s.lists, results, out);
}

}  // namespace dcc::cuda
