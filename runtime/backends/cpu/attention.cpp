// Softmax in one pass over the keys: a running maximum, and a running sum and output relative to
// it, rescaled when the maximum grows. A task takes one KV head and a few tokens of one sequence
// with all query heads that share it, so each key and value is read once for all of them.
//
// Keys come in blocks at fixed positions, and everything within a block happens in an order that
// depends on positions only: a token's result is the same however the step is composed.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/backends/cpu/instruction_set.h"
#include "runtime/backends/cpu/kernels.h"
#include "runtime/plan/workspace.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/backends/cpu/attention.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "runtime/backends/cpu/dot-inl.h"

#ifndef DCC_CPU_ATTENTION_TASK_
#define DCC_CPU_ATTENTION_TASK_
namespace dcc::cpu {

constexpr int64_t kKeyBlock = plan::AttentionBlocks::kKeys;
constexpr float kNone = -std::numeric_limits<float>::infinity();

// The keys or the values of one KV head and sequence: slots of pages, or rows of a matrix.
struct HeadRows {
  const std::byte* data;  // of key 0, in page 0
  DType dtype;
  int64_t dim, stride;             // elements
  const int32_t* pages = nullptr;  // of the sequence; none: one after the other
  int64_t per_page = 0, page_bytes = 0;

  const std::byte* at(int64_t key) const {
    const int64_t row = pages ? key % per_page : key;
    const std::byte* page = pages ? data + pages[key / per_page] * page_bytes : data;
    return page + row * stride * static_cast<int64_t>(byteSize(dtype));
  }
  // How many of the keys [key, to) follow each other.
  int64_t together(int64_t key, int64_t to) const {
    return pages ? std::min(to - key, per_page - key % per_page) : to - key;
  }
};

struct AttentionTask {
  HeadRows k, v;
  int64_t first_position;  // of the first query token
  int64_t tokens;
  int64_t length;      // all tokens see keys [0, length); 0: those up to themselves
  int64_t heads;       // query heads per token here; row = token * heads + head
  const float* sinks;  // of the first query head, or null
  const AttentionShape* shape;
  bool bf16;  // q and keys are multiplied as bf16, and q is that, in the same places
  // Scratch, every row 64-byte aligned. q: [rows, q_stride]; out: [rows, out_stride].
  float* q;
  int64_t q_stride;
  float* scores;  // [rows, kKeyBlock]
  float* out;
  int64_t out_stride;
  float* wide;  // [kKeyBlock, wide_stride], keys or values as f32
  int64_t wide_stride;
  float* max;  // [rows]
  float* sum;  // [rows]
};

}  // namespace dcc::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

// Calls body(key, count) for the pieces of keys [from, to) that follow each other.
template <class Body>
HWY_INLINE void forPieces(const HeadRows& rows, int64_t from, int64_t to, Body&& body) {
  for (int64_t key = from; key < to;) {
    const int64_t count = rows.together(key, to);
    body(key, count);
    key += count;
  }
}

// Keys or values: whole vectors of f32 where they are, or brought to that in `wide`.
struct WideRows {
  const float* rows;
  int64_t stride;
};
HWY_INLINE WideRows wideRows(const AttentionTask& t, const HeadRows& rows, int64_t key,
                             int64_t count) {
  const std::byte* from = rows.at(key);
  if (rows.dtype == DType::kBF16) {
    Widened<hwy::bfloat16_t>::pack(reinterpret_cast<const hwy::bfloat16_t*>(from), rows.stride,
                                   count, rows.dim, t.wide, t.wide_stride);
  } else if (rows.dtype == DType::kF16) {
    Widened<hwy::float16_t>::pack(reinterpret_cast<const hwy::float16_t*>(from), rows.stride, count,
                                  rows.dim, t.wide, t.wide_stride);
  } else if (rows.dim % kLanes == 0) {
    return {reinterpret_cast<const float*>(from), rows.stride};
  } else {
    Widened<float>::pack(reinterpret_cast<const float*>(from), rows.stride, count, rows.dim, t.wide,
                         t.wide_stride);
  }
  return {t.wide, t.wide_stride};
}

// The scores of `count` keys, rows of `stride` elements.
template <class M>
HWY_INLINE void scoreRows(const AttentionTask& t, const typename M::B* keys, int64_t stride,
                          int64_t count, float* scores) {
  constexpr int64_t kPerFloat = sizeof(float) / sizeof(typename M::A);
  const int64_t whole = (t.k.dim + M::kStep - 1) / M::kStep * M::kStep;
  for (int64_t n = 0; n < count; n += kTileCols) {
    const int cols = static_cast<int>(std::min<int64_t>(kTileCols, count - n));
    dotRows<false, M>(reinterpret_cast<const typename M::A*>(t.q), t.q_stride * kPerFloat,
                      t.tokens * t.heads, keys + n * stride, stride, cols, whole, false, scores + n,
                      kKeyBlock);
  }
}

HWY_INLINE void scoreKeys(const AttentionTask& t, int64_t block, int64_t from, int64_t to) {
  forPieces(t.k, from, to, [&](int64_t key, int64_t count) HWY_ATTR {
    float* scores = t.scores + (key - block);
#if HWY_TARGET == HWY_AVX3
    if (t.bf16) {
      return scoreRows<Bf16Pairs>(t, reinterpret_cast<const hwy::bfloat16_t*>(t.k.at(key)),
                                  t.k.stride, count, scores);
    }
#endif
    const WideRows k = wideRows(t, t.k, key, count);
    scoreRows<Widened<float>>(t, k.rows, k.stride, count, scores);
  });
}

// Scores [from, to) such that `scale` times the new one is the capped one.
void capScores(float* s, int64_t from, int64_t to, float scale, float cap) {
  const F32 d;
  const VF32 in = hn::Set(d, scale / cap), out = hn::Set(d, cap / scale);
  for (int64_t c = from / kLanes * kLanes; c < to; c += kLanes) {
    const VF32 v = hn::Mul(out, hn::Tanh(d, hn::Mul(in, hn::Load(d, s + c))));
    hn::Store(hn::IfThenElse(hn::Eq(hn::Load(d, s + c), hn::Set(d, kNone)), hn::Set(d, kNone), v),
              d, s + c);
  }
}

// The oldest key that the token at a position sees.
HWY_INLINE int64_t oldestSeen(const AttentionShape& shape, int64_t position) {
  if (shape.chunk > 0) return position / shape.chunk * shape.chunk;
  return shape.window > 0 ? std::max<int64_t>(0, position - shape.window + 1) : 0;
}

// Turns a row's scores of keys [from, to) into e^(scale * score - maximum), zero elsewhere in the
// block, and brings the row's maximum, sum and output up to date.
HWY_INLINE void softmaxRow(const AttentionTask& t, int64_t row, int64_t from, int64_t to) {
  const F32 d;
  float* s = t.scores + row * kKeyBlock;
  std::fill(s, s + from, kNone);
  std::fill(s + to, s + kKeyBlock, kNone);
  if (from >= to) {
    std::fill(s, s + kKeyBlock, 0.0f);
    return;
  }
  const VF32 scale = hn::Set(d, t.shape->scale);
  VF32 largest = hn::Set(d, kNone);
  if (t.shape->softcap > 0) capScores(s, from, to, t.shape->scale, t.shape->softcap);
  for (int64_t c = 0; c < kKeyBlock; c += kLanes) {
    const VF32 v = hn::Mul(hn::Load(d, s + c), scale);
    hn::Store(v, d, s + c);
    largest = hn::Max(largest, v);
  }
  const float before = t.max[row];
  const float max = std::max(before, hn::GetLane(hn::MaxOfLanes(d, largest)));
  const VF32 shift = hn::Set(d, max);
  VF32 sum = hn::Zero(d);
  for (int64_t c = 0; c < kKeyBlock; c += kLanes) {
    const VF32 e = hn::Exp(d, hn::Sub(hn::Load(d, s + c), shift));
    hn::Store(e, d, s + c);
    sum = hn::Add(sum, e);
  }
  const float part = hn::GetLane(hn::SumOfLanes(d, sum));
  t.max[row] = max;
  if (max == before) {
    t.sum[row] += part;
    return;
  }
  const float shrink = std::exp(before - max);  // 0 the first time
  t.sum[row] = t.sum[row] * shrink + part;
  const VF32 factor = hn::Set(d, shrink);
  float* out = t.out + row * t.out_stride;
  for (int64_t c = 0; c < t.out_stride; c += kLanes) {
    hn::Store(hn::Mul(hn::Load(d, out + c), factor), d, out + c);
  }
}

// out[i, 0..kVecs vectors) += sum over j of p[i, j] * v[j, ...], j in order.
template <int kRows, int kVecs>
HWY_INLINE void weighTile(const float* p, const float* v, int64_t v_stride, int64_t count,
                          float* out, int64_t out_stride) {
  const F32 d;
  VF32 acc[kRows][kVecs];
  const auto each = [&](auto&& body) DCC_INLINE_LAMBDA {
    unrolled<kRows>([&](auto i) DCC_INLINE_LAMBDA {
      unrolled<kVecs>(
          [&](auto c) DCC_INLINE_LAMBDA { body(acc[i][c], out + i * out_stride + c * kLanes); });
    });
  };
  each([&](VF32& sum, const float* at) DCC_INLINE_LAMBDA { sum = hn::Load(d, at); });
  for (int64_t j = 0; j < count; ++j, v += v_stride) {
    VF32 weight[kRows];
    unrolled<kRows>([&](auto i)
                        DCC_INLINE_LAMBDA { weight[i] = hn::Set(d, p[i * kKeyBlock + j]); });
    unrolled<kVecs>([&](auto c) DCC_INLINE_LAMBDA {
      const VF32 x = hn::LoadU(d, v + c * kLanes);
      unrolled<kRows>([&](auto i)
                          DCC_INLINE_LAMBDA { acc[i][c] = hn::MulAdd(weight[i], x, acc[i][c]); });
    });
  }
  each([&](VF32 sum, float* at) DCC_INLINE_LAMBDA { hn::Store(sum, d, at); });
}

template <int kRows>
HWY_INLINE void weighRows(const float* p, WideRows v, int64_t dim, int64_t count, float* out,
                          int64_t out_stride) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= dim; c += 4 * kLanes) {
    weighTile<kRows, 4>(p, v.rows + c, v.stride, count, out + c, out_stride);
  }
  for (; c < dim; c += kLanes) {
    weighTile<kRows, 1>(p, v.rows + c, v.stride, count, out + c, out_stride);
  }
}

HWY_INLINE void weighValues(const AttentionTask& t, int64_t block, int64_t from, int64_t to) {
  const int64_t dim = t.v.dim, rows = t.tokens * t.heads;
  forPieces(t.v, from, to, [&](int64_t key, int64_t count) HWY_ATTR {
    const WideRows v = wideRows(t, t.v, key, count);
    const float* p = t.scores + (key - block);
    float* out = t.out;
    int64_t i = 0;
    for (; i + kTileRows <= rows; i += kTileRows) {
      weighRows<kTileRows>(p + i * kKeyBlock, v, dim, count, out + i * t.out_stride, t.out_stride);
    }
    for (; i < rows; ++i) {
      weighRows<1>(p + i * kKeyBlock, v, dim, count, out + i * t.out_stride, t.out_stride);
    }
  });
}

void attend(const AttentionTask& t) {
  const F32 d;
  const int64_t rows = t.tokens * t.heads;
  for (int64_t row = 0; row < rows; ++row) {
    // A sink is a score that is there before all keys.
    t.max[row] = t.sinks ? t.sinks[row % t.heads] : kNone;
    t.sum[row] = t.sinks ? 1.0f : 0.0f;
  }
  std::fill(t.out, t.out + rows * t.out_stride, 0.0f);

  // Keys any of the tokens sees: [begin, end).
  const bool causal = t.length == 0;
  const int64_t begin = causal ? oldestSeen(*t.shape, t.first_position) : 0;
  const int64_t end = causal ? t.first_position + t.tokens : t.length;
  for (int64_t block = begin / kKeyBlock * kKeyBlock; block < end; block += kKeyBlock) {
    const int64_t from = std::max(begin, block), to = std::min(end, block + kKeyBlock);
    scoreKeys(t, block, from, to);
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t position = t.first_position + row / t.heads;
      const int64_t oldest = causal ? oldestSeen(*t.shape, position) : 0;
      const int64_t first = std::clamp(oldest, from, to);
      const int64_t last = causal ? std::clamp(position + 1, from, to) : to;
      softmaxRow(t, row, first - block, last - block);
    }
    weighValues(t, block, from, to);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const VF32 sum = hn::Set(d, t.sum[row]);
    float* out = t.out + row * t.out_stride;
    for (int64_t c = 0; c < t.out_stride; c += kLanes) {
      hn::Store(hn::Div(hn::Load(d, out + c), sum), d, out + c);
    }
  }
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dcc::cpu {
namespace {

HWY_EXPORT(attend);

// What a task needs to know of its sequence and KV head.
struct Source {
  HeadRows k, v;
  int64_t first_position;  // of the sequence's first token in the step
  int64_t length;          // as AttentionTask's
};

// The queries against `kv_heads` heads of keys and values, which source(b, kv_head) gives.
template <class SourceOf>
void attendAll(ThreadPool& pool, const Matrix& q, std::span<const int32_t> starts,
               const AttentionShape& shape, int64_t kv_heads, int64_t v_dim, DType k_type,
               const Matrix& out, std::byte* scratch, SourceOf&& source) {
  const int64_t k_dim = shape.head_dim, all_heads = q.cols / k_dim;
  const int64_t group = shape.group > 0 ? shape.group : all_heads / kv_heads;
  const int64_t most = std::min(all_heads, group);  // per KV head
  const int64_t tokens_per_task = std::max<int64_t>(1, plan::AttentionBlocks::kRows / most);
  const plan::AttentionBlocks room(k_dim, v_dim, most);
  // Whole steps of bf16 pairs only: nothing is filled up behind a key.
  const bool bf16 = bf16Products() != Bf16Products::kWidened && q.dtype == DType::kBF16 &&
                    k_type == DType::kBF16 && k_dim % 32 == 0;
  const auto blocks = [&](int64_t b) {
    return (starts[b + 1] - starts[b] + tokens_per_task - 1) / tokens_per_task;
  };
  int64_t all_blocks = 0;
  for (size_t b = 0; b + 1 < starts.size(); ++b) all_blocks += blocks(static_cast<int64_t>(b));

  pool.run(all_blocks * kv_heads, [&](int64_t task, uint32_t thread) {
    int64_t b = 0, block = task / kv_heads;
    while (block >= blocks(b)) block -= blocks(b++);
    const int64_t first = starts[b] + block * tokens_per_task, kv_head = task % kv_heads;
    const Source kv = source(b, kv_head);
    AttentionTask t;
    t.k = kv.k;
    t.v = kv.v;
    t.first_position = kv.first_position + block * tokens_per_task;
    t.length = kv.length;
    t.tokens = std::min<int64_t>(tokens_per_task, starts[b + 1] - first);
    // Query heads of the KV head: all of its group that are here.
    const int64_t first_head = std::max<int64_t>(0, kv_head * group - shape.first);
    t.heads = std::min(all_heads, (kv_head + 1) * group - shape.first) - first_head;
    t.sinks = shape.sinks ? shape.sinks + first_head : nullptr;
    t.shape = &shape;
    t.bf16 = bf16;
    float* place = reinterpret_cast<float*>(scratch) + thread * room.floats();
    const auto take = [&](int64_t n) { return std::exchange(place, place + n); };
    t.q_stride = room.k_stride;
    t.out_stride = room.v_stride;
    t.q = take(room.rows * t.q_stride);
    t.scores = take(room.rows * kKeyBlock);
    t.out = take(room.rows * t.out_stride);
    t.wide_stride = std::max(t.q_stride, t.out_stride);
    t.wide = take(kKeyBlock * t.wide_stride);
    t.max = take(room.max_stride);
    t.sum = take(room.max_stride);

    const int64_t rows = t.tokens * t.heads;
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t head = first_head + i % t.heads;
      float* to = t.q + i * t.q_stride;
      const std::byte* from = q.at(first + i / t.heads, head * k_dim);
      if (bf16) {
        std::memcpy(to, from, k_dim * byteSize(q.dtype));
        continue;
      }
      toF32(q.dtype, from, to, k_dim);
      std::fill(to + k_dim, to + t.q_stride, 0.0f);
    }
    HWY_DYNAMIC_DISPATCH(attend)(t);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t head = first_head + i % t.heads;
      fromF32(t.out + i * t.out_stride, out.dtype, out.at(first + i / t.heads, head * v_dim),
              v_dim);
    }
  });
}

}  // namespace

void attention(ThreadPool& pool, const Matrix& q, const CacheView& cache, const SequenceView& seqs,
               const AttentionShape& shape, const Matrix& out, std::byte* scratch) {
  const auto source = [&](int64_t b, int64_t head) {
    const int32_t* pages = seqs.pages + b * seqs.stride;
    const auto rows = [&](const std::byte* data, int64_t dim) {
      return HeadRows{
          data, cache.dtype, dim, dim, pages, cache.tokens_per_page, cache.bytes_per_page};
    };
    return Source{rows(cache.k(0, head, 0), cache.k_dim), rows(cache.v(0, head, 0), cache.v_dim),
                  seqs.positions[seqs.starts[b]], 0};
  };
  attendAll(pool, q, seqs.starts, shape, cache.heads, cache.v_dim, cache.dtype, out, scratch,
            source);
}

void selfAttention(ThreadPool& pool, const Matrix& q, const Matrix& k, const Matrix& v,
                   std::span<const int32_t> starts, const AttentionShape& shape, const Matrix& out,
                   std::byte* scratch) {
  const int64_t kv_heads = k.cols / shape.head_dim, v_dim = v.cols / kv_heads;
  const auto source = [&](int64_t b, int64_t head) {
    const auto rows = [&](const Matrix& m, int64_t dim) {
      return HeadRows{m.at(starts[b], head * dim), m.dtype, dim, m.stride};
    };
    return Source{rows(k, shape.head_dim), rows(v, v_dim), 0, starts[b + 1] - starts[b]};
  };
  attendAll(pool, q, starts, shape, kv_heads, v_dim, k.dtype, out, scratch, source);
}

}  // namespace dcc::cpu
#endif
