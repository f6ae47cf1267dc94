// Products by vectors along k. With few token rows the weights are read straight from memory, each
// once; with many a panel of weight rows is first brought to the first-level cache, in the form in
// which it is multiplied. k is cut at fixed places, so that what is in flight stays in the caches;
// the parts' sums are added in order.
#include <algorithm>

#include "runtime/backends/cpu/gemm_unit.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/backends/cpu/gemm_vectors.cpp"
#include "hwy/foreach_target.h"
#include "runtime/backends/cpu/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

using Blocks = plan::GemmBlocks;

template <class M>
class BlockProduct {
 public:
  explicit BlockProduct(const GemmBlock& g)
      : g_(g),
        a_(reinterpret_cast<const A*>(g.a)),
        weight_(reinterpret_cast<const B*>(g.weight)),
        panel_(reinterpret_cast<A*>(g.scratch)) {}

  HWY_INLINE void run() const {
    const int64_t whole = g_.k / M::kStep * M::kStep;
    if (g_.rows > kFewRows) {
      multiplyPanels(whole);
    } else if (M::kKeepsUp && g_.rows >= kSomeRows && g_.rows <= kMoreRows && g_.k >= kLongRow) {
      streamByParts(whole);
    } else {
      const int64_t done = M::kKeepsUp && g_.rows == 1 ? streamPanels(whole) : 0;
      streamByRows(done, whole);
    }
    if (whole < g_.k) multiplyRest(whole);
  }

 private:
  using A = typename M::A;
  using B = typename M::B;
  // One part of k is as many elements as fill a tile's rows with 64 steps.
  static constexpr int64_t kPart = 64 * M::kStep;
  static constexpr int64_t kStepBytes = M::kStep * sizeof(B);
  static constexpr int64_t kPanelStride = Blocks::kPanelRowBytes / sizeof(A);
  static_assert(kPart < kPanelStride && kTileCols <= Blocks::kPanelRows);

  // Where reading by parts is faster, measured: fewer rows leave time enough, more take longer than
  // reading does, and of short ones folding the sums takes longer.
  static constexpr int64_t kSomeRows = 4, kMoreRows = 8, kLongRow = 1536;

  template <int kCols>
  HWY_INLINE int colsFrom(int64_t n) const {
    return static_cast<int>(std::min<int64_t>(kCols, g_.cols - n));
  }

  // One row of `a`: all whole panels of weight rows; returns how many rows those are. The number of
  // a panel's rows is a constant here, which makes a tenth of the speed.
  HWY_NOINLINE int64_t streamPanels(int64_t whole) const {
    int64_t n = 0;
    for (; n + kTileCols <= g_.cols; n += kTileCols) {
      const B* weight = weight_ + n * g_.weight_stride;
      for (int64_t p = 0; p < whole; p += kPart) {
        dotTileInline<1, kTileCols, false, M>(a_ + p, g_.a_stride, weight + p, g_.weight_stride,
                                              kTileCols, std::min(kPart, whole - p), p > 0,
                                              g_.c + n, g_.c_stride);
      }
    }
    return n;
  }

  // Few rows: weights are read along their rows, as memory likes it.
  HWY_INLINE void streamByRows(int64_t done, int64_t whole) const {
    for (int64_t n = done; n < g_.cols; n += kTileCols) {
      for (int64_t p = 0; p < whole; p += kPart) {
        // What the next panel will read, one after the other, by the time this one is done.
        const int64_t cols = colsFrom<kTileCols>(n);
        const B* end = weight_ + (n + cols) * g_.weight_stride - g_.first;
        const auto* next = reinterpret_cast<const std::byte*>(end + (g_.first + p) * cols);
        stream<kTileCols>(n, p, std::min(kPart, whole - p), {next, 64, kTileCols * kStepBytes});
      }
    }
  }

  // Several rows and longer ones: a part of them meets all weights, so that it stays in the
  // first-level cache, and few weight rows at a time.
  HWY_INLINE void streamByParts(int64_t whole) const {
    for (int64_t p = 0; p < whole; p += kPart) {
      for (int64_t n = 0; n < g_.cols; n += kStreamCols) {
        const B* next = weight_ + (n + kStreamCols) * g_.weight_stride + p;
        const auto stride = g_.weight_stride * static_cast<int64_t>(sizeof(B));
        stream<kStreamCols>(n, p, std::min(kPart, whole - p),
                            {reinterpret_cast<const std::byte*>(next), stride, kStepBytes});
      }
    }
  }

  // Many rows: a part of a panel meets all of them; along k, so that one part of `a` stays in the
  // second-level cache.
  HWY_INLINE void multiplyPanels(int64_t whole) const {
    for (int64_t p = 0; p < whole; p += kPart) {
      for (int64_t n = 0; n < g_.cols; n += kTileCols) {
        multiply(n, p, std::min(kPart, whole - p));
      }
    }
  }

  // Adds the products of elements [p, p + length) of k for the panel of weight rows from the n-th,
  // as they lie in memory.
  template <int kCols>
  HWY_INLINE void stream(int64_t n, int64_t p, int64_t length, const Fetch& fetch) const {
    dotRows<kCols, true, M>(a_ + p, g_.a_stride, g_.rows, weight_ + n * g_.weight_stride + p,
                            g_.weight_stride, colsFrom<kCols>(n), length, p > 0, g_.c + n,
                            g_.c_stride, fetch);
  }

  // The same with a panel that is brought to the first-level cache.
  HWY_INLINE void multiply(int64_t n, int64_t p, int64_t length) const {
    const int cols = colsFrom<kTileCols>(n);
    M::pack(weight_ + n * g_.weight_stride + p, g_.weight_stride, cols, length, panel_,
            kPanelStride);
    dotRows<kTileCols, false, typename M::Packed>(a_ + p, g_.a_stride, g_.rows, panel_,
                                                  kPanelStride, cols, length, p > 0, g_.c + n,
                                                  g_.c_stride);
  }

  // The same for the last elements of k, too few for a step, and all weight rows.
  HWY_INLINE void multiplyRest(int64_t p) const {
    alignas(64) A a[Blocks::kRows * M::kStep];
    M::Packed::pack(a_ + p, g_.a_stride, g_.rows, g_.k - p, a, M::kStep);
    for (int64_t n = 0; n < g_.cols; n += kTileCols) {
      const int cols = colsFrom<kTileCols>(n);
      M::pack(weight_ + n * g_.weight_stride + p, g_.weight_stride, cols, g_.k - p, panel_,
              kPanelStride);
      dotRows<kTileCols, false, typename M::Packed>(a, M::kStep, g_.rows, panel_, kPanelStride,
                                                    cols, M::kStep, p > 0, g_.c + n, g_.c_stride);
    }
  }

  const GemmBlock& g_;
  const A* a_;
  const B* weight_;
  A* panel_;
};

void multiplyBlock(const GemmBlock& g) {
#if HWY_TARGET == HWY_AVX3
  if (g.a_type == DType::kBF16) return BlockProduct<Bf16Pairs>(g).run();
#endif
  switch (g.weight_type) {
    case DType::kBF16:
      return BlockProduct<Widened<hwy::bfloat16_t>>(g).run();
    case DType::kF16:
      return BlockProduct<Widened<hwy::float16_t>>(g).run();
    default:
      return BlockProduct<Widened<float>>(g).run();
  }
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dcc::cpu {
namespace {

HWY_EXPORT(multiplyBlock);

void multiply(const GemmBlock& g) { HWY_DYNAMIC_DISPATCH(multiplyBlock)(g); }

Matrix asItLies(ThreadPool&, const Matrix& a, std::byte*) { return a; }

Matrix widen(ThreadPool& pool, const Matrix& a, std::byte* room) {
  if (a.dtype == DType::kF32) return a;
  const Matrix wide = {room, DType::kF32, a.rows, a.cols, a.cols};
  pool.forRanges(a.rows, rowGrain(a.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) toF32(a.dtype, a.at(r, 0), wide.f32(r), a.cols);
  });
  return wide;
}

constexpr int64_t kColStep = 12;  // a multiple of every target's kTileCols

}  // namespace

const GemmUnit kWidenedVectors = {kColStep, widen, multiply};
const GemmUnit kBf16Vectors = {kColStep, asItLies, multiply};

}  // namespace dcc::cpu
#endif
