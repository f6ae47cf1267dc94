#include "runtime/backends/cpu/gemm.h"

#include <algorithm>

#include "runtime/backends/cpu/gemm_unit.h"
#include "runtime/backends/cpu/instruction_set.h"
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
          const Matrix& out, std::byte* scratch) {
  gemm(pool, gemmUnit(a.dtype, weight.dtype), a, weight, bias, out, scratch);
}

void gemm(ThreadPool& pool, const GemmUnit& unit, const Matrix& a, const WeightView& weight,
          const float* bias, const Matrix& out, std::byte* scratch) {
  const int64_t rows = a.rows, n = weight.rows, k = weight.cols;
  const uint32_t threads = pool.threads();
  const plan::GemmWorkspace workspace = plan::gemmWorkspace(rows, k, a.dtype, out.dtype, threads);
  const Matrix in = unit.prepare(pool, a, scratch + workspace.threads);
  float* const blocks = reinterpret_cast<float*>(scratch + workspace.threads + workspace.a);

  const int64_t cols_per_task = colsPerTask(rows, n, k, threads, unit.col_step);
  const int64_t row_blocks = (rows + Blocks::kRows - 1) / Blocks::kRows;
  const int64_t col_blocks = (n + cols_per_task - 1) / cols_per_task;
  pool.run(row_blocks * col_blocks, [&](int64_t task, uint32_t thread) {
    const int64_t r0 = task % row_blocks * Blocks::kRows, c0 = task / row_blocks * cols_per_task;
    GemmBlock g;
    g.a = in.at(r0, 0);
    g.a_type = in.dtype;
    g.a_stride = in.stride;
    g.rows = std::min(Blocks::kRows, rows - r0);
    g.all_rows = rows;
    g.weight = weight.row(c0);
    g.weight_type = weight.dtype;
    g.weight_stride = k;
    g.cols = std::min(cols_per_task, n - c0);
    g.k = k;
    g.scratch = scratch + thread * Blocks::kScratchBytes;
    const bool direct = out.dtype == DType::kF32;
    g.c = direct ? out.f32(r0) + c0 : blocks + thread * Blocks::kFloats;
    g.c_stride = direct ? out.stride : cols_per_task;
    unit.block(g);
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
