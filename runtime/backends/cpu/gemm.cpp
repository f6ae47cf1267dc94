// Each task computes a block of the result: kRowBlock token rows by up to kColBlock weight rows.
// With few token rows the weights are read straight from memory, each once; with many a panel of
// weight rows is first brought to f32 in the first-level cache. k is cut at fixed places, so that
// what is in flight stays in the caches; the parts' sums are added in order.
#include "runtime/backends/cpu/gemm.h"

#include <algorithm>
#include <cstring>

#include "runtime/plan/workspace.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/backends/cpu/gemm.cpp"
#include "hwy/foreach_target.h"
#include "runtime/backends/cpu/dot-inl.h"

#ifndef DCC_CPU_GEMM_BLOCK_
#define DCC_CPU_GEMM_BLOCK_
namespace dcc::cpu {

using Blocks = plan::GemmBlocks;

constexpr int64_t kRowBlock = Blocks::kRows;
constexpr int64_t kColBlock = Blocks::kCols;
constexpr int64_t kPanelStride = Blocks::kPanelStride;
constexpr int64_t kFewRows = 16;

struct GemmBlock {
  const float* a;  // [rows, k]
  int64_t a_stride;
  int64_t rows;
  const std::byte* weight;  // [cols, k]
  DType weight_type;
  int64_t cols;
  int64_t k;
  float* c;  // [rows, cols], overwritten
  int64_t c_stride;
  float* panel;  // Blocks::kPanelFloats, 64-byte aligned
};

}  // namespace dcc::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

// One part of k is as many elements as fill a tile's rows with 64 steps.
constexpr int64_t kPart = 64 * kLanes;
static_assert(kPart <= Blocks::kMaxPart && kTileCols <= Blocks::kMaxPanel &&
              kRowBlock % kTileRows == 0);

// Adds the products of elements [p, p + length) of k for `cols` weight rows from the n-th on.
template <class T>
HWY_INLINE void multiplyPart(const GemmBlock& g, int64_t n, int cols, int64_t p, int64_t length) {
  const T* weight = reinterpret_cast<const T*>(g.weight) + n * g.k;
  if (g.rows <= kFewRows) {
    // What the next panel will read, one after the other, by the time this one is done.
    const auto* next = reinterpret_cast<const std::byte*>(weight + cols * g.k + p * cols);
    dotRows<true>(g.a + p, g.a_stride, g.rows, weight + p, g.k, cols, length, p > 0, g.c + n,
                  g.c_stride, next);
  } else {
    widenRows(weight + p, g.k, cols, length, g.panel, kPanelStride);
    dotRows<false, float>(g.a + p, g.a_stride, g.rows, g.panel, kPanelStride, cols, length, p > 0,
                          g.c + n, g.c_stride);
  }
}

// The same for the last elements of k, too few for a vector.
template <class T>
HWY_INLINE void multiplyRest(const GemmBlock& g, int64_t p) {
  alignas(64) float a[kRowBlock * kLanes];
  widenRows(g.a + p, g.a_stride, g.rows, g.k - p, a, kLanes);
  const T* weight = reinterpret_cast<const T*>(g.weight) + p;
  for (int64_t n = 0; n < g.cols; n += kTileCols) {
    const int cols = static_cast<int>(std::min<int64_t>(kTileCols, g.cols - n));
    widenRows(weight + n * g.k, g.k, cols, g.k - p, g.panel, kPanelStride);
    dotRows<false, float>(a, kLanes, g.rows, g.panel, kPanelStride, cols, kLanes, p > 0, g.c + n,
                          g.c_stride);
  }
}

template <class T>
void multiplyBlock(const GemmBlock& g) {
  // Few rows: weights are read along their rows, as memory likes it, and converted as they come.
  // Many rows: a part of a panel is brought to f32 once and meets all of them; along k, so that one
  // part of `a` stays in the second-level cache.
  const int64_t whole = g.k / kLanes * kLanes;
  const int64_t span = g.rows <= kFewRows ? whole : kPart;
  for (int64_t from = 0; from < whole; from += span) {
    const int64_t to = std::min(whole, from + span);
    for (int64_t n = 0; n < g.cols; n += kTileCols) {
      const int cols = static_cast<int>(std::min<int64_t>(kTileCols, g.cols - n));
      for (int64_t p = from; p < to; p += kPart) {
        multiplyPart<T>(g, n, cols, p, std::min(kPart, to - p));
      }
    }
  }
  if (whole < g.k) multiplyRest<T>(g, whole);
}

void gemmBlock(const GemmBlock& g) {
  switch (g.weight_type) {
    case DType::kBF16:
      return multiplyBlock<hwy::bfloat16_t>(g);
    case DType::kF16:
      return multiplyBlock<hwy::float16_t>(g);
    default:
      return multiplyBlock<float>(g);
  }
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dcc::cpu {
namespace {

HWY_EXPORT(gemmBlock);

// Weight rows per task: enough tasks to keep all threads busy to the end, each worth handing out. A
// multiple of every target's tile.
int64_t colsPerTask(int64_t rows, int64_t n, int64_t k, uint32_t threads) {
  const int64_t row_blocks = (rows + kRowBlock - 1) / kRowBlock;
  const int64_t wanted = threads == 1 ? n : n * row_blocks / (int64_t{threads} * 4);
  const int64_t worth = 32 * 1024 / std::max<int64_t>(1, k * std::min(rows, kRowBlock));
  const int64_t most = rows <= kFewRows ? Blocks::kFloats / kFewRows : kColBlock;
  return std::clamp<int64_t>(std::max(wanted, worth) / 12 * 12, 12, most);
}

}  // namespace

void gemm(ThreadPool& pool, const Matrix& a, const WeightView& weight, const float* bias,
          const Matrix& out, std::byte* scratch) {
  const int64_t rows = a.rows, n = weight.rows, k = weight.cols;
  const uint32_t threads = pool.threads();
  const plan::GemmWorkspace workspace = plan::gemmWorkspace(rows, k, a.dtype, out.dtype, threads);
  float* panels = reinterpret_cast<float*>(scratch);
  float* const blocks = reinterpret_cast<float*>(scratch + workspace.panels + workspace.wide);
  const float* wide = reinterpret_cast<const float*>(a.data);
  int64_t wide_stride = a.stride;
  if (a.dtype != DType::kF32) {
    float* to = reinterpret_cast<float*>(scratch + workspace.panels);
    pool.forRanges(rows, rowGrain(k), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) toF32(a.dtype, a.at(r, 0), to + r * k, k);
    });
    wide = to;
    wide_stride = k;
  }

  const auto block = HWY_DYNAMIC_DISPATCH(gemmBlock);
  const int64_t cols_per_task = colsPerTask(rows, n, k, threads);
  const int64_t row_blocks = (rows + kRowBlock - 1) / kRowBlock;
  const int64_t col_blocks = (n + cols_per_task - 1) / cols_per_task;
  pool.run(row_blocks * col_blocks, [&](int64_t task, uint32_t thread) {
    const int64_t r0 = task % row_blocks * kRowBlock, c0 = task / row_blocks * cols_per_task;
    GemmBlock g;
    g.a = wide + r0 * wide_stride;
    g.a_stride = wide_stride;
    g.rows = std::min(kRowBlock, rows - r0);
    g.weight = weight.row(c0);
    g.weight_type = weight.dtype;
    g.cols = std::min(cols_per_task, n - c0);
    g.k = k;
    g.panel = panels + thread * Blocks::kPanelFloats;
    const bool direct = out.dtype == DType::kF32;
    g.c = direct ? out.f32(r0) + c0 : blocks + thread * Blocks::kFloats;
    g.c_stride = direct ? out.stride : cols_per_task;
    block(g);
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
#endif
