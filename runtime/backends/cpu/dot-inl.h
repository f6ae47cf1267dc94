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
#include <cstddef>

#include "runtime/backends/cpu/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

using F32 = hn::ScalableTag<float>;
using VF32 = hn::Vec<F32>;
constexpr int kLanes = hn::MaxLanes(F32());

// A tile multiplies rows of `a` with rows of `b`, as many as have their accumulators in registers
// together with the operands.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
constexpr int kTileRows = 4;
constexpr int kTileCols = 6;
#elif HWY_TARGET == HWY_AVX2
constexpr int kTileRows = 3;
constexpr int kTileCols = 4;
#else
constexpr int kTileRows = 2;
constexpr int kTileCols = 4;
#endif
static_assert(kTileRows <= 4);

// The sums of adjacent lanes: of x in the lower half, of y in the upper.
HWY_INLINE VF32 addPairs(VF32 x, VF32 y) {
  const F32 d;
  return hn::Add(hn::ConcatEven(d, y, x), hn::ConcatOdd(d, y, x));
}

// Stores out[0..cols) the sums over the lanes of acc[0..cols), or adds them to it.
template <int kCols>
HWY_INLINE void storeSums(const VF32 (&acc)[kCols], bool add, float* out, int cols) {
  const F32 d;
  // Each round halves the lanes that belong to one sum, until each has one. Sums that were not
  // asked for repeat the last.
  constexpr int kPadded = kCols <= 1 ? 1 : kCols <= 2 ? 2 : kCols <= 4 ? 4 : 8;
  VF32 v[kPadded];
  HWY_UNROLL(8)
  for (int i = 0; i < kPadded; ++i) v[i] = acc[i < kCols ? i : kCols - 1];
  int vectors = kPadded;
  HWY_UNROLL(8)
  for (int lanes = kLanes; lanes > 1; lanes /= 2) {
    if (vectors > 1) {
      vectors /= 2;
      HWY_UNROLL(8)
      for (int i = 0; i < vectors; ++i) v[i] = addPairs(v[2 * i], v[2 * i + 1]);
    } else {
      v[0] = addPairs(v[0], v[0]);
    }
  }
  constexpr int kPlaces = kPadded > kLanes ? kPadded : kLanes;
  alignas(64) float sums[kPlaces];
  for (int i = 0; i * kLanes < kPlaces; ++i) hn::Store(v[i], d, sums + i * kLanes);
  if (add) {
    for (int i = 0; i < cols; ++i) out[i] += sums[i];
  } else {
    for (int i = 0; i < cols; ++i) out[i] = sums[i];
  }
}

// c[i, j] = (or += if `add`) sum over k of a[i, k] * b[j, k], for i < kRows and j < cols <=
// kTileCols. Strides in elements. With kFetch, as many bytes as are read of b are fetched from
// `fetch` on to the second-level cache.
template <int kRows, bool kFetch, class T>
HWY_INLINE void dotTile(const float* HWY_RESTRICT a, int64_t a_stride, const T* HWY_RESTRICT b,
                        int64_t b_stride, int cols, int64_t k, bool add, float* c, int64_t c_stride,
                        const std::byte* fetch) {
  constexpr int kCols = kTileCols;
  const F32 d;
  // Columns beyond the last repeat it; their sums are dropped.
  const T* bs[kCols];
  bs[0] = b;
  HWY_UNROLL(8)
  for (int j = 1; j < kCols; ++j) bs[j] = bs[j - 1] + (j < cols ? b_stride : 0);

  VF32 acc[kRows][kCols];
  HWY_UNROLL(8)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(8)
    for (int j = 0; j < kCols; ++j) acc[i][j] = hn::Zero(d);
  }
  int64_t p = 0;
  for (; p + kLanes <= k; p += kLanes) {
    VF32 va[kRows];
    HWY_UNROLL(8)
    for (int i = 0; i < kRows; ++i) va[i] = hn::LoadU(d, a + i * a_stride + p);
    HWY_UNROLL(8)
    for (int j = 0; j < kCols; ++j) {
      const VF32 vb = loadF32(d, bs[j] + p);
      HWY_UNROLL(8)
      for (int i = 0; i < kRows; ++i) acc[i][j] = hn::MulAdd(va[i], vb, acc[i][j]);
    }
    if (kFetch) {
      constexpr int kStep = kCols * kLanes * sizeof(T), kLine = 64;
      HWY_UNROLL(8)
      for (int i = 0; i < kStep / kLine; ++i) __builtin_prefetch(fetch + i * kLine, 0, 3);
      fetch += kStep;
    }
  }
  if (HWY_UNLIKELY(p < k)) {
    VF32 va[kRows];
    HWY_UNROLL(8)
    for (int i = 0; i < kRows; ++i) va[i] = loadPartF32(d, a + i * a_stride + p, k - p);
    HWY_UNROLL(8)
    for (int j = 0; j < kCols; ++j) {
      const VF32 vb = loadPartF32(d, bs[j] + p, k - p);
      HWY_UNROLL(8)
      for (int i = 0; i < kRows; ++i) acc[i][j] = hn::MulAdd(va[i], vb, acc[i][j]);
    }
  }
  HWY_UNROLL(8)
  for (int i = 0; i < kRows; ++i) storeSums<kCols>(acc[i], add, c + i * c_stride, cols);
}

// The same for any number of rows; the first tile fetches.
template <bool kFetch, class T>
void dotRows(const float* a, int64_t a_stride, int64_t rows, const T* b, int64_t b_stride, int cols,
             int64_t k, bool add, float* c, int64_t c_stride, const std::byte* fetch = nullptr) {
  if (rows == 1) {
    dotTile<1, kFetch>(a, a_stride, b, b_stride, cols, k, add, c, c_stride, fetch);
  } else if (rows == 2) {
    dotTile<2, kFetch>(a, a_stride, b, b_stride, cols, k, add, c, c_stride, fetch);
  } else if (kTileRows > 3 && rows == 3) {
    dotTile<std::min(3, kTileRows), kFetch>(a, a_stride, b, b_stride, cols, k, add, c, c_stride,
                                            fetch);
  } else if (rows > 0) {
    dotTile<kTileRows, kFetch>(a, a_stride, b, b_stride, cols, k, add, c, c_stride, fetch);
    dotRows<false>(a + kTileRows * a_stride, a_stride, rows - kTileRows, b, b_stride, cols, k, add,
                   c + kTileRows * c_stride, c_stride);
  }
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
