// The two products of attention, for a block of keys: scores of queries with keys, and sums of
// values. Included once per SIMD target.
//
// Lanes are keys in the first and columns of values in the second, so that nothing is added across
// lanes but a score's few parts. Each score and each sum is made in an order of its own, whatever
// else the tile has.
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

// Lane 4b + r of out's vector i is lane 4b + i of row r: each 4 x 4 lanes are turned. Vectors of
// `out` are `stride` apart.
HWY_INLINE void turn(const std::byte* const* rows, int64_t bytes, uint32_t* out, int64_t stride) {
  const U32 d;
  const hn::Repartition<uint64_t, U32> d64;
  VU32 row[4];
  unrolled<4>([&](auto r) DCC_INLINE_LAMBDA {
    row[r] = hn::LoadU(d, reinterpret_cast<const uint32_t*>(rows[r] + bytes));
  });
  const auto lower01 = hn::BitCast(d64, hn::InterleaveLower(d, row[0], row[1]));
  const auto upper01 = hn::BitCast(d64, hn::InterleaveUpper(d, row[0], row[1]));
  const auto lower23 = hn::BitCast(d64, hn::InterleaveLower(d, row[2], row[3]));
  const auto upper23 = hn::BitCast(d64, hn::InterleaveUpper(d, row[2], row[3]));
  hn::Store(hn::BitCast(d, hn::InterleaveLower(d64, lower01, lower23)), d, out);
  hn::Store(hn::BitCast(d, hn::InterleaveUpper(d64, lower01, lower23)), d, out + stride);
  hn::Store(hn::BitCast(d, hn::InterleaveLower(d64, upper01, upper23)), d, out + 2 * stride);
  hn::Store(hn::BitCast(d, hn::InterleaveUpper(d64, upper01, upper23)), d, out + 3 * stride);
}

// The sums of neighbouring blocks of 128 bits: of x in the even ones, of y in the odd ones.
HWY_INLINE VF32 addBlockPairs(VF32 x, VF32 y) {
  return hn::Add(hn::OddEvenBlocks(y, x), hn::SwapAdjacentBlocks(hn::OddEvenBlocks(x, y)));
}

// Scores of 16 keys, four in each sum's blocks; a block has its own part of the columns.
HWY_INLINE void storeScores(const VF32* sums, float* scores) {
  const F32 d;
  static_assert(kScoreKeys == 16);
  if constexpr (kLanes == 16) {
    const VF32 x = addBlockPairs(sums[0], sums[1]), y = addBlockPairs(sums[2], sums[3]);
    hn::Store(hn::Add(hn::ConcatLowerLower(d, y, x), hn::ConcatUpperUpper(d, y, x)), d, scores);
  } else if constexpr (kLanes == 8) {
    hn::Store(addBlockPairs(sums[0], sums[1]), d, scores);
    hn::Store(addBlockPairs(sums[2], sums[3]), d, scores + 8);
  } else {
    static_assert(kLanes == 4 || kLanes == 8 || kLanes == 16);
    unrolled<4>([&](auto g) DCC_INLINE_LAMBDA { hn::Store(sums[g], d, scores + 4 * g); });
  }
}

// Scores of kRows queries, rows of `vectors` vectors of 32-bit lanes, with the 16 keys in `turned`:
// for each vector of a key and each of the four lanes of its blocks four vectors of four keys each.
template <int kRows, class M>
HWY_INLINE void scoreTile(const uint32_t* q, int64_t q_stride, const uint32_t* turned,
                          int64_t vectors, float* scores) {
  const F32 d;
  const U32 d32;
  VF32 sums[kRows][4];
  unrolled<kRows>([&](auto r) DCC_INLINE_LAMBDA {
    unrolled<4>([&](auto g) DCC_INLINE_LAMBDA { sums[r][g] = hn::Zero(d); });
  });
  for (int64_t v = 0; v < vectors; ++v, q += kLanes) {
    VU32 row[kRows];
    unrolled<kRows>([&](auto r) DCC_INLINE_LAMBDA { row[r] = hn::LoadU(d32, q + r * q_stride); });
    unrolled<4>([&](auto i) DCC_INLINE_LAMBDA {
      VU32 keys[4];
      unrolled<4>([&](auto g) DCC_INLINE_LAMBDA {
        keys[g] = hn::Load(d32, turned);
        turned += kLanes;
      });
      unrolled<kRows>([&](auto r) DCC_INLINE_LAMBDA {
        const VU32 x = hn::Broadcast<i>(row[r]);
        unrolled<4>([&](auto g) DCC_INLINE_LAMBDA {
          sums[r][g] = M::multiplyLanes(x, keys[g], sums[r][g]);
        });
      });
    });
  }
  unrolled<kRows>([&](auto r) DCC_INLINE_LAMBDA { storeScores(sums[r], scores + r * kKeyBlock); });
}

// Of all queries with keys [from, to) of a block; others of the same 16 get some score, too.
template <class M>
HWY_INLINE void scoreRows(const AttentionTask& t, const std::byte* const* keys, int64_t from,
                          int64_t to) {
  constexpr int kTile = kLanes == 16 ? 4 : 2;
  const int64_t rows = t.tokens * t.heads, vectors = (t.k.dim + M::kStep - 1) / M::kStep;
  const auto* q = reinterpret_cast<const uint32_t*>(t.q);
  for (int64_t first = from / kScoreKeys * kScoreKeys; first < to; first += kScoreKeys) {
    const std::byte* some[kScoreKeys];
    for (int64_t i = 0; i < kScoreKeys; ++i) some[i] = keys[std::clamp(first + i, from, to - 1)];
    // What comes next, for pages lie anywhere.
    for (int64_t i = first + kScoreKeys; i < std::min(first + 2 * kScoreKeys, to); ++i) {
      for (int64_t b = 0; b < vectors * kLanes * 4; b += 64) __builtin_prefetch(keys[i] + b);
    }
    for (int64_t v = 0; v < vectors; ++v) {
      for (int64_t g = 0; g < 4; ++g) {
        turn(some + 4 * g, v * kLanes * 4, t.turned + (v * 16 + g) * kLanes, 4 * kLanes);
      }
    }
    float* scores = t.scores + first;
    const auto tile = [&](auto n, int64_t r) HWY_ATTR {
      scoreTile<n.value, M>(q + r * t.q_stride, t.q_stride, t.turned, vectors,
                            scores + r * kKeyBlock);
    };
    int64_t r = 0;
    for (; r + kTile <= rows; r += kTile) tile(std::integral_constant<int, kTile>(), r);
    if (rows - r == 1) tile(std::integral_constant<int, 1>(), r);
    if (kTile > 2 && rows - r == 2) tile(std::integral_constant<int, 2>(), r);
    if (kTile > 3 && rows - r == 3) tile(std::integral_constant<int, 3>(), r);
  }
}

HWY_INLINE void scoreKeys(const AttentionTask& t, int64_t block, int64_t from, int64_t to) {
  const std::byte* keys[kKeyBlock];
#if HWY_TARGET == HWY_AVX3
  if (t.bf16) {
    findRows(t.k, block, from, to, keys);
    return scoreRows<Bf16Pairs>(t, keys, from - block, to - block);
  }
#endif
  widenRows(t, t.k, block, from, to, keys);
  scoreRows<Widened<float>>(t, keys, from - block, to - block);
}

// out[i, 0..kVecs vectors) += sum over j < count of p[i, j] times row j from byte `column` on, j in
// order.
template <int kRows, int kVecs, class M>
HWY_INLINE void weighTile(const uint32_t* p, const std::byte* const* rows, int64_t column,
                          int64_t count, float* out, int64_t out_stride) {
  const F32 d;
  const U32 d32;
  VF32 sums[kRows][kVecs];
  const auto each = [&](auto&& body) DCC_INLINE_LAMBDA {
    unrolled<kRows>([&](auto i) DCC_INLINE_LAMBDA {
      unrolled<kVecs>(
          [&](auto c) DCC_INLINE_LAMBDA { body(sums[i][c], out + i * out_stride + c * kLanes); });
    });
  };
  each([&](VF32& sum, const float* at) DCC_INLINE_LAMBDA { sum = hn::Load(d, at); });
  for (int64_t j = 0; j < count; ++j) {
    const auto* row = reinterpret_cast<const uint32_t*>(rows[j] + column);
    VU32 weight[kRows];
    unrolled<kRows>([&](auto i)
                        DCC_INLINE_LAMBDA { weight[i] = hn::Set(d32, p[i * kKeyBlock + j]); });
    unrolled<kVecs>([&](auto c) DCC_INLINE_LAMBDA {
      const VU32 x = hn::LoadU(d32, row + c * kLanes);
      unrolled<kRows>([&](auto i) DCC_INLINE_LAMBDA {
        sums[i][c] = M::multiplyLanes(weight[i], x, sums[i][c]);
      });
    });
  }
  each([&](VF32 sum, float* at) DCC_INLINE_LAMBDA { hn::Store(sum, d, at); });
}

template <int kRows, class M>
HWY_INLINE void weighColumns(const uint32_t* p, const std::byte* const* rows, int64_t dim,
                             int64_t count, float* out, int64_t out_stride) {
  constexpr int64_t kBytes = sizeof(uint32_t);
  int64_t c = 0;
  for (; c + 4 * kLanes <= dim; c += 4 * kLanes) {
    weighTile<kRows, 4, M>(p, rows, c * kBytes, count, out + c, out_stride);
  }
  for (; c < dim; c += kLanes) {
    weighTile<kRows, 1, M>(p, rows, c * kBytes, count, out + c, out_stride);
  }
}

template <class M>
HWY_INLINE void weighRows(const AttentionTask& t, int64_t first, const std::byte* const* rows,
                          int64_t count) {
  const int64_t all = t.tokens * t.heads;
  const auto* p = reinterpret_cast<const uint32_t*>(t.scores) + first;
  const auto weigh = [&](auto n, int64_t i) HWY_ATTR {
    weighColumns<n.value, M>(p + i * kKeyBlock, rows + first, t.v.dim, count,
                             t.to.out + i * t.out_stride, t.out_stride);
  };
  int64_t i = 0;
  for (; i + kTileRows <= all; i += kTileRows) weigh(std::integral_constant<int, kTileRows>(), i);
  for (; i < all; ++i) weigh(std::integral_constant<int, 1>(), i);
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

// A block's weights as bf16, in place. In assembler as Bf16Pairs::multiplyAdd() is.
HWY_INLINE void narrowWeights(float* p) {
  const F32 d;
  for (int64_t c = 0; c < kKeyBlock; c += 2 * kLanes) {
    const VF32 lower = hn::Load(d, p + c), upper = hn::Load(d, p + c + kLanes);
    VF32 both;
    asm("vcvtne2ps2bf16 %2, %1, %0" : "=v"(both.raw) : "v"(upper.raw), "v"(lower.raw));
    hn::Store(both, d, p + c / 2);
  }
}
#endif

HWY_INLINE void weighValues(const AttentionTask& t, int64_t block, int64_t from, int64_t to) {
  const std::byte* values[kKeyBlock];
#if HWY_TARGET == HWY_AVX3
  if (t.bf16_values) {
    valuePairs(t, block, from, to, values);
    for (int64_t i = 0; i < t.tokens * t.heads; ++i) narrowWeights(t.scores + i * kKeyBlock);
    const int64_t first = (from - block) / 2;
    return weighRows<Bf16Pairs>(t, first, values, (to - block + 1) / 2 - first);
  }
#endif
  widenRows(t, t.v, block, from, to, values);
  weighRows<Widened<float>>(t, from - block, values, to - from);
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
