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
#include <utility>

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

// Calls f(0), f(1), ... f(n - 1) with constants. Compilers keep arrays of vectors in registers when
// nothing but constants index them from the start; a loop they unroll later comes too late.
template <int n, class F>
HWY_INLINE void unrolled(F&& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) DCC_INLINE_LAMBDA {
    (f(std::integral_constant<int, i>()), ...);
  }
  (std::make_integer_sequence<int, n>());
}

// The sums of adjacent lanes: of x in the lower half, of y in the upper.
HWY_INLINE VF32 addPairs(VF32 x, VF32 y) {
  const F32 d;
  return hn::Add(hn::ConcatEven(d, y, x), hn::ConcatOdd(d, y, x));
}

// Folds `lanes` lanes per sum and kVectors vectors until each of these sums is one lane of v[0].
template <int kVectors, int kLanesPerSum>
HWY_INLINE void foldLanes(VF32* v) {
  if constexpr (kLanesPerSum > 1) {
    constexpr int kNext = std::max(1, kVectors / 2);
    unrolled<kNext>([&](auto i) DCC_INLINE_LAMBDA {
      v[i] = addPairs(v[2 * i % kVectors], v[(2 * i + 1) % kVectors]);
    });
    foldLanes<kNext, kLanesPerSum / 2>(v);
  }
}

// Stores to out[0..cols) the sums over the lanes of acc[0..cols), or adds them to it.
HWY_INLINE void storeSums(const VF32* acc, bool add, float* out, int cols) {
  const F32 d;
  constexpr int kPadded = kTileCols <= 4 ? 4 : 8;
  static_assert(kPadded <= kLanes);  // so that one vector has all sums
  VF32 v[kPadded];
  unrolled<kPadded>([&](auto i) DCC_INLINE_LAMBDA { v[i] = acc[std::min<int>(i, kTileCols - 1)]; });
  foldLanes<kPadded, kLanes>(v);
#if HWY_TARGET <= HWY_AVX2 && HWY_ARCH_X86
  const auto places = hn::FirstN(d, cols);
  if (add) v[0] = hn::Add(v[0], hn::MaskedLoad(places, d, out));
  hn::BlendedStore(v[0], places, d, out);
#else  // a masked store would write the neighbours' old values over what other threads put there
  alignas(64) float sums[kLanes];
  hn::Store(v[0], d, sums);
  for (int i = 0; i < cols; ++i) out[i] = add ? out[i] + sums[i] : sums[i];
#endif
}

// c[i, j] = (or += if `add`) sum over k of a[i, k] * b[j, k], for i < kRows and j < cols <=
// kTileCols; k is a multiple of kLanes. Strides in elements. kFetch: as many bytes as this reads of
// b are brought to the caches from `fetch` on. Not inlined: the loop needs every register.
template <int kRows, bool kFetch, class T>
HWY_NOINLINE void dotTile(const float* HWY_RESTRICT a, int64_t a_stride, const T* HWY_RESTRICT b,
                          int64_t b_stride, int cols, int64_t k, bool add, float* c,
                          int64_t c_stride, const std::byte* fetch) {
  const F32 d;
  // Columns beyond the last repeat it; their sums are dropped.
  const T* bs[kTileCols];
  bs[0] = b;
  unrolled<kTileCols - 1>(
      [&](auto j) DCC_INLINE_LAMBDA { bs[j + 1] = bs[j] + (j + 1 < cols ? b_stride : 0); });

  VF32 acc[kRows][kTileCols];
  unrolled<kRows>([&](auto i) DCC_INLINE_LAMBDA {
    unrolled<kTileCols>([&](auto j) DCC_INLINE_LAMBDA { acc[i][j] = hn::Zero(d); });
  });
  for (int64_t p = 0; p < k; p += kLanes) {
    VF32 va[kRows];
    unrolled<kRows>([&](auto i) DCC_INLINE_LAMBDA { va[i] = hn::LoadU(d, a + i * a_stride + p); });
    unrolled<kTileCols>([&](auto j) DCC_INLINE_LAMBDA {
      const VF32 vb = loadF32(d, bs[j] + p);
      unrolled<kRows>([&](auto i)
                          DCC_INLINE_LAMBDA { acc[i][j] = hn::MulAdd(va[i], vb, acc[i][j]); });
    });
    if constexpr (kFetch) {
      constexpr int kStep = kTileCols * kLanes * sizeof(T), kLine = 64;
      unrolled<kStep / kLine>(
          [&](auto i) DCC_INLINE_LAMBDA { __builtin_prefetch(fetch + i * kLine, 0, 3); });
      fetch += kStep;
    }
  }
  unrolled<kRows>([&](auto i)
                      DCC_INLINE_LAMBDA { storeSums(acc[i], add, c + i * c_stride, cols); });
}

// The same for any number of rows.
template <bool kFetch, class T>
HWY_INLINE void dotRows(const float* a, int64_t a_stride, int64_t rows, const T* b,
                        int64_t b_stride, int cols, int64_t k, bool add, float* c, int64_t c_stride,
                        const std::byte* fetch = nullptr) {
  const auto tile = [&](auto tile_rows) DCC_INLINE_LAMBDA {
    dotTile<tile_rows.value, kFetch>(a, a_stride, b, b_stride, cols, k, add, c, c_stride, fetch);
  };
  for (; rows >= kTileRows; rows -= kTileRows) {
    tile(std::integral_constant<int, kTileRows>());
    a += kTileRows * a_stride;
    c += kTileRows * c_stride;
  }
  if (rows == 1) tile(std::integral_constant<int, 1>());
  if (kTileRows > 2 && rows == 2) tile(std::integral_constant<int, std::min(2, kTileRows)>());
  if (kTileRows > 3 && rows == 3) tile(std::integral_constant<int, std::min(3, kTileRows)>());
}

// Brings rows of k elements to f32, with zeros behind up to a multiple of kLanes.
template <class T>
HWY_INLINE void widenRows(const T* from, int64_t from_stride, int64_t rows, int64_t k, float* to,
                          int64_t to_stride) {
  const F32 d;
  for (int64_t r = 0; r < rows; ++r, from += from_stride, to += to_stride) {
    int64_t p = 0;
    for (; p + kLanes <= k; p += kLanes) hn::StoreU(loadF32(d, from + p), d, to + p);
    if (p < k) hn::StoreU(loadPartF32(d, from + p, k - p), d, to + p);
  }
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
