// The two products of attention, for a block of keys: scores of queries with keys, and sums of
// values. Included once per SIMD target.
//
// Lanes are keys in the first, which are turned for it, and columns of values in the second, so
// that nothing is added across lanes. Each score and each sum is made in an order of its own,
// whatever else the tile has.
#if defined(DCC_CPU_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DCC_CPU_ATTENTION_INL_H_
#undef DCC_CPU_ATTENTION_INL_H_
#else
#define DCC_CPU_ATTENTION_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "runtime/backends/cpu/attention_task.h"
#include "runtime/backends/cpu/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

// A tile has so many vectors of keys or columns, and at most so many rows of queries or weights: as
// many sums as there are registers for beside the operands.
constexpr int kTileVecs = 4;
constexpr int kMostRows = kLanes == 16 ? 6 : kLanes == 8 ? 3 : 2;
constexpr int64_t kTileKeys = kTileVecs * kLanes;
static_assert(kKeyBlock % kTileKeys == 0 && kTileKeys <= plan::AttentionBlocks::kTurnedKeys);

// Where the rows of keys [from, to) of a block are, by their place in it.
HWY_INLINE void findRows(const HeadRows& rows, int64_t block, int64_t from, int64_t to,
                         const std::byte** at) {
  const int64_t bytes = rows.stride * static_cast<int64_t>(byteSize(rows.dtype));
  for (int64_t key = from; key < to;) {
    const std::byte* row = rows.at(key);
    for (const int64_t end = key + rows.together(key, to); key < end; ++key, row += bytes) {
      at[key - block] = row;
    }
  }
}

// The same as whole vectors of f32: where they are, or in t.wide.
HWY_INLINE void widenRows(const AttentionTask& t, const HeadRows& rows, int64_t block, int64_t from,
                          int64_t to, const std::byte** at) {
  findRows(rows, block, from, to, at);
  if (rows.dtype == DType::kF32 && rows.dim % kLanes == 0) return;
  const auto widen = [&](auto type) HWY_ATTR {
    using T = decltype(type);
    for (int64_t i = from - block; i < to - block; ++i) {
      float* wide = t.wide + i * t.wide_stride;
      Widened<T>::pack(reinterpret_cast<const T*>(at[i]), 0, 1, rows.dim, wide, 0);
      at[i] = reinterpret_cast<const std::byte*>(wide);
    }
  };
  if (rows.dtype == DType::kBF16) return widen(hwy::bfloat16_t());
  if (rows.dtype == DType::kF16) return widen(hwy::float16_t());
  widen(float());
}

// Four vectors, of which block b of vector r becomes block r of vector b.
HWY_INLINE void turnBlocks(VU32* v) {
  const U32 d;
  if constexpr (kLanes == 8) {
    const VU32 x = v[0];
    v[0] = hn::ConcatLowerLower(d, v[1], x);
    v[1] = hn::ConcatUpperUpper(d, v[1], x);
  } else if constexpr (kLanes == 16) {
    const auto even = [&](int r) DCC_INLINE_LAMBDA {
      return hn::OddEvenBlocks(hn::SwapAdjacentBlocks(v[r + 1]), v[r]);
    };
    const auto odd = [&](int r) DCC_INLINE_LAMBDA {
      return hn::OddEvenBlocks(v[r + 1], hn::SwapAdjacentBlocks(v[r]));
    };
    const VU32 even0 = even(0), odd0 = odd(0), even2 = even(2), odd2 = odd(2);
    v[0] = hn::ConcatLowerLower(d, even2, even0);
    v[1] = hn::ConcatLowerLower(d, odd2, odd0);
    v[2] = hn::ConcatUpperUpper(d, even2, even0);
    v[3] = hn::ConcatUpperUpper(d, odd2, odd0);
  }
}

// Vector i of `out` gets lane i of each of kLanes rows, from byte `bytes` on. Vectors of `out` are
// kTileKeys apart.
HWY_INLINE void turn(const std::byte* const* rows, int64_t bytes, uint32_t* out) {
  const U32 d;
  const hn::Repartition<uint64_t, U32> d64;
  constexpr int kBlocks = kLanes / 4;
  // Each block of four rows by itself, then the blocks.
  VU32 v[4][kBlocks];
  unrolled<kBlocks>([&](auto g) DCC_INLINE_LAMBDA {
    VU32 row[4];
    unrolled<4>([&](auto r) DCC_INLINE_LAMBDA {
      row[r] = hn::LoadU(d, reinterpret_cast<const uint32_t*>(rows[4 * g + r] + bytes));
    });
    const auto lower01 = hn::BitCast(d64, hn::InterleaveLower(d, row[0], row[1]));
    const auto upper01 = hn::BitCast(d64, hn::InterleaveUpper(d, row[0], row[1]));
    const auto lower23 = hn::BitCast(d64, hn::InterleaveLower(d, row[2], row[3]));
    const auto upper23 = hn::BitCast(d64, hn::InterleaveUpper(d, row[2], row[3]));
    v[0][g] = hn::BitCast(d, hn::InterleaveLower(d64, lower01, lower23));
    v[1][g] = hn::BitCast(d, hn::InterleaveUpper(d64, lower01, lower23));
    v[2][g] = hn::BitCast(d, hn::InterleaveLower(d64, upper01, upper23));
    v[3][g] = hn::BitCast(d, hn::InterleaveUpper(d64, upper01, upper23));
  });
  unrolled<4>([&](auto i) DCC_INLINE_LAMBDA {
    turnBlocks(v[i]);
    unrolled<kBlocks>(
        [&](auto b) DCC_INLINE_LAMBDA { hn::Store(v[i][b], d, out + (4 * b + i) * kTileKeys); });
  });
}

// out[i, 0..kVecs vectors) = (or += if kAdd) sum over j < count of p[i, j] times row(j), j in
// order.
template <int kRows, int kVecs, bool kAdd, class M, class Row>
HWY_INLINE void productTile(const uint32_t* p, int64_t p_stride, const Row& row, int64_t count,
                            float* out, int64_t out_stride, RowFetcher& fetcher) {
  const F32 d;
  const U32 d32;
  VF32 sums[kRows][kVecs];
  const auto each = [&](auto&& body) DCC_INLINE_LAMBDA {
    unrolled<kRows>([&](auto i) DCC_INLINE_LAMBDA {
      unrolled<kVecs>(
          [&](auto c) DCC_INLINE_LAMBDA { body(sums[i][c], out + i * out_stride + c * kLanes); });
    });
  };
  each([&](VF32& sum, const float* at)
           DCC_INLINE_LAMBDA { sum = kAdd ? hn::Load(d, at) : hn::Zero(d); });
  for (int64_t j = 0; j < count; ++j) {
    fetcher.fetchSome();
    const uint32_t* from = row(j);
    VU32 factor[kRows];
    unrolled<kRows>([&](auto i)
                        DCC_INLINE_LAMBDA { factor[i] = hn::Set(d32, p[i * p_stride + j]); });
    unrolled<kVecs>([&](auto c) DCC_INLINE_LAMBDA {
      const VU32 x = hn::LoadU(d32, from + c * kLanes);
      unrolled<kRows>([&](auto i) DCC_INLINE_LAMBDA {
        sums[i][c] = M::multiplyLanes(factor[i], x, sums[i][c]);
      });
    });
  }
  each([&](VF32 sum, float* at) DCC_INLINE_LAMBDA { hn::Store(sum, d, at); });
}

// Calls tile(number of rows, the first of them) for all rows, in tiles of like sizes.
template <class Tile>
HWY_INLINE void forTiles(int64_t rows, const Tile& tile) {
  for (int64_t r = 0, tiles = (rows + kMostRows - 1) / kMostRows; r < rows; --tiles) {
    const int64_t some = (rows - r + tiles - 1) / tiles;
    unrolled<kMostRows>([&](auto i) HWY_ATTR {
      if (some == i + 1) tile(std::integral_constant<int, i + 1>(), r);
    });
    r += some;
  }
}

// Of all queries with keys [from, to) of a block; others of the same tile get some score, too. Rows
// of queries and keys have `lanes` lanes of 32 bits.
template <class M>
HWY_INLINE void scoreRows(const AttentionTask& t, const std::byte* const* keys, int64_t lanes,
                          int64_t from, int64_t to, RowFetcher& fetcher) {
  const auto* q = reinterpret_cast<const uint32_t*>(t.q);
  const auto row = [&](int64_t j) DCC_INLINE_LAMBDA { return t.turned + j * kTileKeys; };
  for (int64_t first = from / kTileKeys * kTileKeys; first < to; first += kTileKeys) {
    const std::byte* some[kTileKeys];
    for (int64_t i = 0; i < kTileKeys; ++i) some[i] = keys[std::clamp(first + i, from, to - 1)];
    for (int64_t lane = 0; lane < lanes; lane += kLanes) {
      for (int64_t i = 0; i < kTileKeys; i += kLanes) {
        turn(some + i, lane * 4, t.turned + lane * kTileKeys + i);
      }
    }
    forTiles(t.tokens * t.heads, [&](auto n, int64_t r) HWY_ATTR {
      productTile<n.value, kTileVecs, false, M>(q + r * t.q_stride, t.q_stride, row, lanes,
                                                t.scores + r * kKeyBlock + first, kKeyBlock,
                                                fetcher);
    });
  }
}

HWY_INLINE void scoreKeys(const AttentionTask& t, int64_t block, int64_t from, int64_t to,
                          RowFetcher& fetcher) {
  const std::byte* keys[kKeyBlock];
#if HWY_TARGET == HWY_AVX3
  if (t.bf16) {
    findRows(t.k, block, from, to, keys);
    return scoreRows<Bf16Pairs>(t, keys, t.k.dim / 2, from - block, to - block, fetcher);
  }
#endif
  widenRows(t, t.k, block, from, to, keys);
  scoreRows<Widened<float>>(t, keys, t.k.dim, from - block, to - block, fetcher);
}

// Adds to all results: weights from the first-th on times `count` rows.
template <class M>
HWY_INLINE void weighRows(const AttentionTask& t, int64_t first, const std::byte* const* rows,
                          int64_t count, RowFetcher& fetcher) {
  const auto* p = reinterpret_cast<const uint32_t*>(t.scores) + first;
  forTiles(t.tokens * t.heads, [&](auto n, int64_t i) HWY_ATTR {
    const auto tile = [&](auto vecs, int64_t c) HWY_ATTR {
      const auto row = [&](int64_t j) DCC_INLINE_LAMBDA {
        return reinterpret_cast<const uint32_t*>(rows[first + j]) + c;
      };
      productTile<n.value, vecs.value, true, M>(p + i * kKeyBlock, kKeyBlock, row, count,
                                                t.to.out + i * t.out_stride + c, t.out_stride,
                                                fetcher);
    };
    int64_t c = 0;
    for (; c + kTileKeys <= t.v.dim; c += kTileKeys) {
      tile(std::integral_constant<int, kTileVecs>(), c);
    }
    for (; c < t.v.dim; c += kLanes) tile(std::integral_constant<int, 1>(), c);
  });
}

#if HWY_TARGET == HWY_AVX3
// Values of bf16 are multiplied in pairs of neighbouring keys, of which the first is at an even
// place. 32 columns make two vectors of pairs: columns 0 to 3 of each 8 in one, 4 to 7 in the
// other; results are in that order until they are done.
HWY_INLINE void valuePairs(const AttentionTask& t, int64_t block, int64_t from, int64_t to,
                           const std::byte** pairs) {
  const hn::ScalableTag<uint16_t> d;
  const std::byte* values[kKeyBlock];
  findRows(t.v, block, from, to, values);
  for (int64_t pair = (from - block) / 2; 2 * pair < to - block; ++pair) {
    auto* out = reinterpret_cast<uint16_t*>(t.wide) + pair * 2 * t.v.dim;
    pairs[pair] = reinterpret_cast<const std::byte*>(out);
    const bool both[2] = {2 * pair >= from - block, 2 * pair + 1 < to - block};
    for (int64_t c = 0; c < t.v.dim; c += 2 * kLanes, out += 4 * kLanes) {
      const auto load = [&](int i) HWY_ATTR {
        const auto* row = reinterpret_cast<const uint16_t*>(values[2 * pair + i]);
        return both[i] ? hn::LoadU(d, row + c) : hn::Zero(d);
      };
      const auto x = load(0), y = load(1);
      hn::Store(hn::InterleaveLower(d, x, y), d, out);
      hn::Store(hn::InterleaveUpper(d, x, y), d, out + 2 * kLanes);
    }
  }
}

// A row of results in order again.
HWY_INLINE void unpairColumns(float* out, int64_t dim) {
  for (int64_t c = 0; c < dim; c += 2 * kLanes, out += 2 * kLanes) {
    float paired[2 * kLanes];
    std::memcpy(paired, out, sizeof(paired));
    for (int64_t i = 0; i < kLanes; i += 4) {
      std::memcpy(out + 2 * i, paired + i, 4 * sizeof(float));
      std::memcpy(out + 2 * i + 4, paired + kLanes + i, 4 * sizeof(float));
    }
  }
}
#endif

HWY_INLINE void weighValues(const AttentionTask& t, int64_t block, int64_t from, int64_t to,
                            RowFetcher& fetcher) {
  const std::byte* values[kKeyBlock];
#if HWY_TARGET == HWY_AVX3
  if (t.bf16_values) {
    valuePairs(t, block, from, to, values);
    const int64_t first = (from - block) / 2;
    return weighRows<Bf16Pairs>(t, first, values, (to - block + 1) / 2 - first, fetcher);
  }
#endif
  widenRows(t, t.v, block, from, to, values);
  weighRows<Widened<float>>(t, from - block, values, to - from, fetcher);
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
