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
#include <cstring>
#include <utility>

#include "runtime/backends/cpu/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

using F32 = hn::ScalableTag<float>;
using VF32 = hn::Vec<F32>;
// 32 bits to a lane, whatever they are.
using U32 = hn::ScalableTag<uint32_t>;
using VU32 = hn::Vec<U32>;
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
// Rows of b that are read from memory for several of `a`: the fewer, the better reading them and
// multiplying overlap.
constexpr int kStreamCols = 2;

// How a tile multiplies: what it reads of `a` and `b`, kStep elements of k at a time, and how it
// adds their products to lanes of f32. pack() copies rows of b to where tiles read them as `a` is
// read, with zeros behind up to a multiple of kStep; Packed multiplies with those.

// Any type, brought to f32.
template <class T>
struct Widened {
  using A = float;
  using B = T;
  using Packed = Widened<float>;
  static constexpr int kStep = kLanes;
  static constexpr bool kKeepsUp = false;

  static HWY_INLINE VF32 loadA(const A* p) { return hn::LoadU(F32(), p); }
  static HWY_INLINE VF32 loadB(const B* p) { return loadF32(F32(), p); }
  static HWY_INLINE VF32 multiplyAdd(VF32 a, VF32 b, VF32 sum) { return hn::MulAdd(a, b, sum); }
  // The same of lanes as they lie in memory.
  static HWY_INLINE VF32 multiplyLanes(VU32 a, VU32 b, VF32 sum) {
    return multiplyAdd(hn::BitCast(F32(), a), hn::BitCast(F32(), b), sum);
  }
  static HWY_INLINE void pack(const B* from, int64_t from_stride, int64_t rows, int64_t k, A* to,
                              int64_t to_stride) {
    const F32 d;
    for (int64_t r = 0; r < rows; ++r, from += from_stride, to += to_stride) {
      int64_t p = 0;
      for (; p + kStep <= k; p += kStep) hn::StoreU(loadF32(d, from + p), d, to + p);
      if (p < k) hn::StoreU(loadPartF32(d, from + p, k - p), d, to + p);
    }
  }
};

#if HWY_TARGET == HWY_AVX3
// bf16 with bf16, two neighbours of k to a lane; for CPUs with avx512_bf16.
struct Bf16Pairs {
  using A = hwy::bfloat16_t;
  using B = hwy::bfloat16_t;
  using Packed = Bf16Pairs;
  static constexpr int kStep = 2 * kLanes;
  static constexpr bool kKeepsUp = true;
  using U16 = hn::ScalableTag<uint16_t>;
  using V = hn::Vec<U16>;

  static HWY_INLINE V loadA(const A* p) {
    return hn::LoadU(U16(), reinterpret_cast<const uint16_t*>(p));
  }
  static HWY_INLINE V loadB(const B* p) { return loadA(p); }
  // In assembler: an intrinsic could only be called from functions compiled for avx512_bf16, which
  // Highway of Debian 12 has no target for.
  static HWY_INLINE VF32 multiplyAdd(V a, V b, VF32 sum) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
  static HWY_INLINE VF32 multiplyLanes(VU32 a, VU32 b, VF32 sum) {
    return multiplyAdd(hn::BitCast(U16(), a), hn::BitCast(U16(), b), sum);
  }
  static HWY_INLINE void pack(const B* from, int64_t from_stride, int64_t rows, int64_t k, A* to,
                              int64_t to_stride) {
    for (int64_t r = 0; r < rows; ++r, from += from_stride, to += to_stride) {
      std::memcpy(to, from, k * sizeof(A));
      if (k % kStep != 0) std::memset(to + k, 0, (kStep - k % kStep) * sizeof(A));
    }
  }
};
#endif

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

// Stores to out[0..cols) the sums over the lanes of acc[0..cols), cols <= kCols, or adds them to
// it. Neighbouring lanes are added first, however many sums there are.
template <int kCols>
HWY_INLINE void storeSums(const VF32* acc, bool add, float* out, int cols) {
  const F32 d;
  constexpr int kPadded = kCols <= 2 ? 2 : kCols <= 4 ? 4 : 8;
  static_assert(kPadded <= kLanes);  // so that one vector has all sums
  VF32 v[kPadded];
  unrolled<kPadded>([&](auto i) DCC_INLINE_LAMBDA { v[i] = acc[std::min<int>(i, kCols - 1)]; });
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

// What a tile brings to the caches while it multiplies: with each step as many lines as the step
// reads of b, `stride` bytes apart and `advance` further than the step before.
struct Fetch {
  const std::byte* at = nullptr;
  int64_t stride = 0, advance = 0;
};

// c[i, j] = (or += if `add`) sum over k of a[i, k] * b[j, k], for i < kRows and j < cols <= kCols;
// k is a multiple of M::kStep. Strides in elements.
template <int kRows, int kCols, bool kFetch, class M>
HWY_INLINE void dotTileInline(const typename M::A* HWY_RESTRICT a, int64_t a_stride,
                              const typename M::B* HWY_RESTRICT b, int64_t b_stride, int cols,
                              int64_t k, bool add, float* c, int64_t c_stride, Fetch fetch = {}) {
  const F32 d;
  // Columns beyond the last repeat it; their sums are dropped.
  const typename M::B* bs[kCols];
  bs[0] = b;
  unrolled<kCols - 1>([&](auto j)
                          DCC_INLINE_LAMBDA { bs[j + 1] = bs[j] + (j + 1 < cols ? b_stride : 0); });

  VF32 acc[kRows][kCols];
  unrolled<kRows>([&](auto i) DCC_INLINE_LAMBDA {
    unrolled<kCols>([&](auto j) DCC_INLINE_LAMBDA { acc[i][j] = hn::Zero(d); });
  });
  for (int64_t p = 0; p < k; p += M::kStep) {
    decltype(M::loadA(a)) va[kRows];
    unrolled<kRows>([&](auto i) DCC_INLINE_LAMBDA { va[i] = M::loadA(a + i * a_stride + p); });
    unrolled<kCols>([&](auto j) DCC_INLINE_LAMBDA {
      const auto vb = M::loadB(bs[j] + p);
      unrolled<kRows>([&](auto i)
                          DCC_INLINE_LAMBDA { acc[i][j] = M::multiplyAdd(va[i], vb, acc[i][j]); });
    });
    if constexpr (kFetch) {
      constexpr int kBytes = kCols * M::kStep * sizeof(typename M::B), kLine = 64;
      unrolled<kBytes / kLine>(
          [&](auto i) DCC_INLINE_LAMBDA { __builtin_prefetch(fetch.at + i * fetch.stride, 0, 3); });
      fetch.at += fetch.advance;
    }
  }
  unrolled<kRows>([&](auto i)
                      DCC_INLINE_LAMBDA { storeSums<kCols>(acc[i], add, c + i * c_stride, cols); });
}

// The same, not inlined: the loop needs every register.
template <int kRows, int kCols, bool kFetch, class M>
HWY_NOINLINE void dotTile(const typename M::A* HWY_RESTRICT a, int64_t a_stride,
                          const typename M::B* HWY_RESTRICT b, int64_t b_stride, int cols,
                          int64_t k, bool add, float* c, int64_t c_stride, const Fetch& fetch) {
  dotTileInline<kRows, kCols, kFetch, M>(a, a_stride, b, b_stride, cols, k, add, c, c_stride,
                                         fetch);
}

// The same for any number of rows.
template <int kCols, bool kFetch, class M>
HWY_INLINE void dotRows(const typename M::A* a, int64_t a_stride, int64_t rows,
                        const typename M::B* b, int64_t b_stride, int cols, int64_t k, bool add,
                        float* c, int64_t c_stride, const Fetch& fetch = {}) {
  const auto tile = [&](auto tile_rows) DCC_INLINE_LAMBDA {
    dotTile<tile_rows.value, kCols, kFetch, M>(a, a_stride, b, b_stride, cols, k, add, c, c_stride,
                                               fetch);
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

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
