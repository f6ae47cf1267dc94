#include "runtime/backends/cpu/gemm.h"

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <tuple>
#include <utility>

#include "runtime/backends/cpu/gemm_unit.h"
#include "runtime/backends/cpu/instruction_set.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/workspace.h"

namespace dcc::cpu {
namespace {

using Blocks = plan::GemmBlocks;

// Weight rows per task: enough tasks to keep all threads busy to the end, each worth handing out.
int64_t colsPerTask(int64_t rows, int64_t n, int64_t k, uint32_t threads, int64_t step) {
  const int64_t row_blocks = (rows + Blocks::kRows - 1) / Blocks::kRows;
  const int64_t wanted = threads == 1 ? n : n * row_blocks / (int64_t{threads} * 4);
  const int64_t worth = 32 * 1024 / std::max<int64_t>(1, k * std::min(rows, Blocks::kRows));
  const int64_t most = rows <= kFewRows ? Blocks::kFloats / kFewRows : Blocks::kCols;
  return std::clamp<int64_t>(std::max(wanted, worth) / step * step, step, most);
}

// c += sum, [rows, cols] each.
void addBlock(const float* sum, int64_t sum_stride, float* c, int64_t c_stride, int64_t rows,
              int64_t cols) {
  for (int64_t r = 0; r < rows; ++r, sum += sum_stride, c += c_stride) {
    for (int64_t j = 0; j < cols; ++j) c[j] += sum[j];
  }
}

// `a` by chunks of k, as the unit prepared each, and the block's first row in them.
struct Chunks {
  std::span<const Matrix> in;
  int64_t row;
};

// The block's products, chunk by chunk of k, in the order of sumInTree(). A sum waits until its
// neighbour, of as many chunks, is there: before chunk i as many wait as i has ones, the first in
// the result's place, the others in `waiting`.
void sumChunks(const GemmUnit& unit, GemmBlock g, const Chunks& chunks, float* waiting) {
  const auto level = [&, c = g.c, stride = g.c_stride](int depth) {
    return depth == 0 ? std::pair(c, stride)
                      : std::pair(waiting + (depth - 1) * Blocks::kFloats, g.cols);
  };
  for (uint64_t i = 0; i < chunks.in.size(); ++i) {
    g.a = chunks.in[i].at(chunks.row, 0);
    int depth = std::popcount(i);
    std::tie(g.c, g.c_stride) = level(depth);
    unit.block(g);
    for (int merged = std::countr_one(i); merged > 0; --merged, --depth) {
      const auto [sum, sum_stride] = level(depth);
      const auto [c, c_stride] = level(depth - 1);
      addBlock(sum, sum_stride, c, c_stride, g.rows, g.cols);
    }
    g.weight += g.k * static_cast<int64_t>(byteSize(g.weight_type));
    g.first += g.k;
  }
}

// With few rows the chunks of some columns come one after the other, so that their weights, which
// lie in whole rows, are still in the caches.
void multiply(const GemmUnit& unit, GemmBlock g, const Chunks& chunks, float* waiting) {
  const bool few = chunks.in.size() > 1 && g.rows <= kFewRows;
  const int64_t cols = g.cols, step = few ? 2 * unit.col_step : cols;
  for (int64_t n = 0; n < cols; n += step) {
    g.cols = std::min(step, cols - n);
    sumChunks(unit, g, chunks, waiting);
    g.weight += step * g.weight_stride * static_cast<int64_t>(byteSize(g.weight_type));
    g.c += step;
  }
}

}  // namespace

const GemmUnit& gemmUnit(DType a, DType weight) {
  if (a != DType::kBF16 || weight != DType::kBF16) return kWidenedVectors;
  switch (bf16Products()) {
    case Bf16Products::kAmx:
      return kAmxTiles;
    case Bf16Products::kAvx512:
      return kBf16Vectors;
    case Bf16Products::kWidened:
      break;
  }
  return kWidenedVectors;
}

void gemm(ThreadPool& pool, const Matrix& a, const WeightView& weight, const float* bias,
          int64_t chunks, const Matrix& out, std::byte* scratch) {
  gemm(pool, gemmUnit(a.dtype, weight.dtype), a, weight, bias, chunks, out, scratch);
}

void gemm(ThreadPool& pool, const GemmUnit& unit, const Matrix& a, const WeightView& weight,
          const float* bias, int64_t chunks, const Matrix& out, std::byte* scratch) {
  const int64_t rows = a.rows, n = weight.rows, k = weight.cols;
  const uint32_t threads = pool.threads();
  const plan::GemmWorkspace workspace =
      plan::gemmWorkspace(rows, k, chunks, a.dtype, out.dtype, threads);
  std::array<Matrix, plan::kMaxChunks> prepared;
  const std::span in(prepared.data(), chunks);
  for (int64_t i = 0; i < chunks; ++i) {
    Matrix part = a;
    part.cols = k / chunks;
    part.data = a.at(0, i * part.cols);
    in[i] = unit.prepare(pool, part, scratch + workspace.threads + i * (workspace.a / chunks));
  }
  float* const blocks = reinterpret_cast<float*>(scratch + workspace.threads + workspace.a);
  float* const sums = blocks + workspace.blocks / sizeof(float);
  const int64_t sums_per_thread = Blocks::waitingSums(chunks) * Blocks::kFloats;

  const int64_t cols_per_task = colsPerTask(rows, n, k, threads, unit.col_step);
  const int64_t row_blocks = (rows + Blocks::kRows - 1) / Blocks::kRows;
  const int64_t col_blocks = (n + cols_per_task - 1) / cols_per_task;
  pool.run(row_blocks * col_blocks, [&](int64_t task, uint32_t thread) {
    const int64_t r0 = task % row_blocks * Blocks::kRows, c0 = task / row_blocks * cols_per_task;
    GemmBlock g;
    g.a = in[0].at(r0, 0);  // of the first chunk
    g.a_type = in[0].dtype;
    g.a_stride = in[0].stride;
    g.rows = std::min(Blocks::kRows, rows - r0);
    g.all_rows = rows;
    g.weight = weight.row(c0);
    g.weight_type = weight.dtype;
    g.weight_stride = weight.stride;
    g.cols = std::min(cols_per_task, n - c0);
    g.k = k / chunks;
    g.first = 0;
    g.scratch = scratch + thread * Blocks::kScratchBytes;
    const bool direct = out.dtype == DType::kF32;
    g.c = direct ? out.f32(r0) + c0 : blocks + thread * Blocks::kFloats;
    g.c_stride = direct ? out.stride : cols_per_task;
    multiply(unit, g, {in, r0}, sums + thread * sums_per_thread);
    for (int64_t r = 0; r < g.rows; ++r) {
      float* c = g.c + r * g.c_stride;
      if (bias != nullptr) {
        for (int64_t j = 0; j < g.cols; ++j) c[j] += bias[c0 + j];
      }
      if (!direct) fromF32(c, out.dtype, out.at(r0 + r, c0), g.cols);
    }
  });
}

}  // namespace dcc::cpu
