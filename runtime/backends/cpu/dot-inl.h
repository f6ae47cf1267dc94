// Dot products of rows with rows: the inner loop of GEMM and of attention's scores. Included once
// per SIMD target.
//
// Each product keeps one vector accumulator over k, folded at the end in a fixed order. Its value
// depends on the two rows only, not on the tile it was computed in: a token's result is the same
// alone, in a batch, in a prompt cut anywhere, and on any number of threads.
#if defined(DCC_CPU_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DCC_CPU_DOT_INL_H_
#undef DCC_CPU_DOT_INL_H_
#else
#define DCC_CPU_DOT_INL_H_
#endif

#include <algorithm>

#include "runtime/backends/cpu/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

using F32 = hn::ScalableTag<float>;
using VF32 = hn::Vec<F32>;
constexpr int kLanes = hn::MaxLanes(F32());

// A tile multiplies up to kTileRows rows of `a` with kTileCols rows of `b`, as many as have their
// accumulators and operands in registers together.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
constexpr int kTileRows = 3;
constexpr int kTileCols = 8;
#elif HWY_TARGET == HWY_AVX2
constexpr int kTileRows = 3;
constexpr int kTileCols = 4;
#else
constexpr int kTileRows = 2;
constexpr int kTileCols = 4;
#endif
static_assert(kTileCols == kLanes || kTileCols * 2 == kLanes);

// The sums of adjacent lanes: of x in the lower half, of y in the upper.
HWY_INLINE VF32 addPairs(VF32 x, VF32 y) {
  const F32 d;
  return hn::Add(hn::ConcatEven(d, y, x), hn::ConcatOdd(d, y, x));
}

// The first lanes of v, as many as d has: all, or half.
HWY_INLINE VF32 lowest(F32, VF32 v) { return v; }
template <class D>
HWY_INLINE hn::Vec<D> lowest(D d, VF32 v) {
  return hn::LowerHalf(d, v);
}

// Stores (or adds to) out[0..count) the sums over the lanes of acc[0..count).
template <bool kAdd>
HWY_INLINE void storeSums(VF32 (&acc)[kTileCols], float* out, int count) {
  // Each round halves the lanes that belong to one sum, until each has one.
  HWY_UNROLL(8)
  for (int vectors = kTileCols / 2; vectors > 0; vectors /= 2) {
    HWY_UNROLL(8)
    for (int i = 0; i < vectors; ++i) acc[i] = addPairs(acc[2 * i], acc[2 * i + 1]);
  }
  if (kTileCols < kLanes) acc[0] = addPairs(acc[0], acc[0]);

  const hn::CappedTag<float, kTileCols> d;
  const auto sums = lowest(d, acc[0]);
  if (count == kTileCols) {
    hn::StoreU(kAdd ? hn::Add(hn::LoadU(d, out), sums) : sums, d, out);
  } else {
    alignas(64) float part[kTileCols];
    hn::Store(sums, d, part);
    for (int i = 0; i < count; ++i) out[i] = kAdd ? out[i] + part[i] : part[i];
  }
}

// c[i, j] = (kAdd: c[i, j] +) sum over k of a[i, k] * b[j, k], for i < kRows and j < cols <=
// kTileCols. Strides in elements.
template <int kRows, bool kAdd, class T>
HWY_INLINE void dotTile(const float* HWY_RESTRICT a, int64_t a_stride, const T* HWY_RESTRICT b,
                        int64_t b_stride, int cols, int64_t k, float* c, int64_t c_stride) {
  const F32 d;
  // Columns beyond the last repeat it; their sums are dropped.
  const T* bs[kTileCols];
  HWY_UNROLL(8)
  for (int j = 0; j < kTileCols; ++j) bs[j] = b + std::min(j, cols - 1) * b_stride;

  VF32 acc[kRows][kTileCols];
  HWY_UNROLL(8)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(8)
    for (int j = 0; j < kTileCols; ++j) acc[i][j] = hn::Zero(d);
  }
  int64_t p = 0;
  for (; p + kLanes <= k; p += kLanes) {
    VF32 va[kRows];
    HWY_UNROLL(8)
    for (int i = 0; i < kRows; ++i) va[i] = hn::LoadU(d, a + i * a_stride + p);
    HWY_UNROLL(8)
    for (int j = 0; j < kTileCols; ++j) {
      const VF32 vb = loadF32(d, bs[j] + p);
      HWY_UNROLL(8)
      for (int i = 0; i < kRows; ++i) acc[i][j] = hn::MulAdd(va[i], vb, acc[i][j]);
    }
  }
  if (p < k) {
    VF32 va[kRows];
    for (int i = 0; i < kRows; ++i) va[i] = loadPartF32(d, a + i * a_stride + p, k - p);
    for (int j = 0; j < kTileCols; ++j) {
      const VF32 vb = loadPartF32(d, bs[j] + p, k - p);
      for (int i = 0; i < kRows; ++i) acc[i][j] = hn::MulAdd(va[i], vb, acc[i][j]);
    }
  }
  for (int i = 0; i < kRows; ++i) storeSums<kAdd>(acc[i], c + i * c_stride, cols);
}

// The same for any number of rows.
template <bool kAdd, class T>
HWY_INLINE void dotRows(const float* a, int64_t a_stride, int64_t rows, const T* b,
                        int64_t b_stride, int cols, int64_t k, float* c, int64_t c_stride) {
  int64_t i = 0;
  for (; i + kTileRows <= rows; i += kTileRows) {
    dotTile<kTileRows, kAdd>(a + i * a_stride, a_stride, b, b_stride, cols, k, c + i * c_stride,
                             c_stride);
  }
  if (kTileRows > 2 && rows - i == 2) {
    dotTile<2, kAdd>(a + i * a_stride, a_stride, b, b_stride, cols, k, c + i * c_stride, c_stride);
    return;
  }
  for (; i < rows; ++i) {
    dotTile<1, kAdd>(a + i * a_stride, a_stride, b, b_stride, cols, k, c + i * c_stride, c_stride);
  }
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
