// Softmax in one pass over the keys: a running maximum, and a running sum and output relative to
// it, rescaled when the maximum grows. A task takes one KV head and a few tokens of one sequence
// with all query heads that share it, so each key and value is read once for all of them.
//
// Keys come in blocks at fixed positions, and everything within a block happens in an order that
// depends on positions only: a token's result is the same however the step is composed. Long
// sequences come in segments, also at fixed positions, whose results are made apart and joined in
// order; where there are fewer tasks than threads to do them, threads share the segments.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "runtime/backends/cpu/attention_task.h"
#include "runtime/backends/cpu/instruction_set.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/backends/cpu/attention.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "runtime/backends/cpu/attention-inl.h"
#include "runtime/backends/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

constexpr float kLog2E = 1.44269504f;

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

// Weights of a block from the c-th on, in place; as bf16 they take half the room. In assembler as
// Bf16Pairs::multiplyAdd() is.
HWY_INLINE void storeWeights([[maybe_unused]] const AttentionTask& t, VF32 lower, VF32 upper,
                             float* s, int64_t c) {
  const F32 d;
#if HWY_TARGET == HWY_AVX3
  if (t.bf16_values) {
    VF32 both;
    asm("vcvtne2ps2bf16 %2, %1, %0" : "=v"(both.raw) : "v"(upper.raw), "v"(lower.raw));
    hn::Store(both, d, s + c / 2);
    return;
  }
#endif
  hn::Store(lower, d, s + c);
  hn::Store(upper, d, s + c + kLanes);
}

// Turns a row's scores of keys [from, to) into weights e^(scale * score) / 2^maximum, zero
// elsewhere in the block, and brings the row's maximum, sum and output up to date.
HWY_INLINE void softmaxRow(const AttentionTask& t, int64_t row, int64_t from, int64_t to) {
  const F32 d;
  float* s = t.scores + row * kKeyBlock;
  std::fill(s, s + from, kNone);
  std::fill(s + to, s + kKeyBlock, kNone);
  if (from >= to) {
    std::fill(s, s + kKeyBlock, 0.0f);
    return;
  }
  if (t.shape->softcap > 0) capScores(s, from, to, t.shape->scale, t.shape->softcap);
  const VF32 scale = hn::Set(d, t.shape->scale * kLog2E);
  VF32 largest = hn::Set(d, kNone);
  for (int64_t c = 0; c < kKeyBlock; c += kLanes) {
    const VF32 v = hn::Mul(hn::Load(d, s + c), scale);
    hn::Store(v, d, s + c);
    largest = hn::Max(largest, v);
  }
  const float before = t.to.max[row];
  const float max = std::max(before, hn::GetLane(hn::MaxOfLanes(d, largest)));
  const VF32 shift = hn::Set(d, max);
  const auto weight = [&](int64_t c) HWY_ATTR {
    return exp2OfNegative(d, hn::Sub(hn::Load(d, s + c), shift));
  };
  VF32 sum = hn::Zero(d);
  for (int64_t c = 0; c < kKeyBlock; c += 2 * kLanes) {
    const VF32 lower = weight(c), upper = weight(c + kLanes);
    sum = hn::Add(sum, hn::Add(lower, upper));
    storeWeights(t, lower, upper, s, c);
  }
  const float part = hn::GetLane(hn::SumOfLanes(d, sum));
  t.to.max[row] = max;
  if (max == before) {
    t.to.sum[row] += part;
    return;
  }
  const float shrink = std::exp2(before - max);  // 0 the first time
  t.to.sum[row] = t.to.sum[row] * shrink + part;
  const VF32 factor = hn::Set(d, shrink);
  float* out = t.to.out + row * t.out_stride;
  for (int64_t c = 0; c < t.out_stride; c += kLanes) {
    hn::Store(hn::Mul(hn::Load(d, out + c), factor), d, out + c);
  }
}

// Of keys and values [from, to), whose places go to `rows`, while there are products for a block.
RowFetcher fetchNext(const AttentionTask& t, int64_t from, int64_t to, const std::byte** rows) {
  findRows(t.k, from, from, to, rows);
  findRows(t.v, from, from, to, rows + to - from);
  // A tile of queries takes a quarter as many steps as a block has lines.
  const int64_t tiles = (t.heads + kMostRows - 1) / kMostRows;
  return {std::span(rows, 2 * (to - from)),
          std::max(t.k.dim, t.v.dim) * static_cast<int64_t>(byteSize(t.k.dtype)),
          static_cast<int>(std::max<int64_t>(1, 4 / tiles))};
}

// Keys [begin, end), into t.to.
void attend(const AttentionTask& t, int64_t begin, int64_t end) {
  const int64_t rows = t.tokens * t.heads;
  std::fill_n(t.to.max, rows, kNone);
  std::fill_n(t.to.sum, rows, 0.0f);
  std::fill_n(t.to.out, rows * t.out_stride, 0.0f);

  const bool causal = t.length == 0;
  for (int64_t block = begin / kKeyBlock * kKeyBlock; block < end; block += kKeyBlock) {
    const int64_t from = std::max(begin, block), to = std::min(end, block + kKeyBlock);
    const std::byte* next[2 * kKeyBlock];
    // There is little to do for each key of one token.
    RowFetcher fetcher =
        t.tokens == 1 ? fetchNext(t, to, std::min(end, to + kKeyBlock), next) : RowFetcher();
    scoreKeys(t, block, from, to, fetcher);
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t position = t.first_position + row / t.heads;
      const int64_t oldest = causal ? oldestSeen(*t.shape, position) : 0;
      const int64_t first = std::clamp(oldest, from, to);
      const int64_t last = causal ? std::clamp(position + 1, from, to) : to;
      softmaxRow(t, row, first - block, last - block);
    }
    weighValues(t, block, from, to, fetcher);
  }
}

// t.to becomes what it is together with later keys'.
void join(const AttentionTask& t, const AttentionPart& later) {
  const F32 d;
  for (int64_t row = 0; row < t.tokens * t.heads; ++row) {
    if (later.max[row] == kNone) continue;  // the row saw none of its keys
    const float max = std::max(t.to.max[row], later.max[row]);
    const float old_factor = std::exp2(t.to.max[row] - max);
    const float new_factor = std::exp2(later.max[row] - max);
    t.to.max[row] = max;
    t.to.sum[row] = t.to.sum[row] * old_factor + later.sum[row] * new_factor;
    const VF32 f = hn::Set(d, old_factor), g = hn::Set(d, new_factor);
    float* out = t.to.out + row * t.out_stride;
    const float* other = later.out + row * t.out_stride;
    for (int64_t c = 0; c < t.out_stride; c += kLanes) {
      hn::Store(hn::MulAdd(hn::Load(d, other + c), g, hn::Mul(hn::Load(d, out + c), f)), d,
                out + c);
    }
  }
}

// Divides by the sums, and brings columns in their order. A sink is one more score, of no value.
void finish(const AttentionTask& t) {
  const F32 d;
  for (int64_t row = 0; row < t.tokens * t.heads; ++row) {
    float factor = 1, all = t.to.sum[row];
    if (t.sinks != nullptr) {
      const float sink = t.sinks[row % t.heads] * kLog2E, max = std::max(sink, t.to.max[row]);
      factor = std::exp2(t.to.max[row] - max);
      all = all * factor + std::exp2(sink - max);
    }
    const VF32 f = hn::Set(d, factor), sum = hn::Set(d, all);
    float* out = t.to.out + row * t.out_stride;
    for (int64_t c = 0; c < t.out_stride; c += kLanes) {
      hn::Store(hn::Div(hn::Mul(hn::Load(d, out + c), f), sum), d, out + c);
    }
#if HWY_TARGET == HWY_AVX3
    if (t.bf16_values) unpairColumns(out, t.v.dim);
#endif
  }
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dcc::cpu {
namespace {

HWY_EXPORT(attend);
HWY_EXPORT(join);
HWY_EXPORT(finish);

// What a task needs to know of its sequence and KV head.
struct Source {
  HeadRows k, v;
  int64_t first_position;  // of the sequence's first token in the step
  int64_t length;          // as AttentionTask's
};

// One call's queries against `kv_heads` heads of keys and values, which source(b, kv_head) gives.
template <class SourceOf>
class Attention {
 public:
  Attention(ThreadPool& pool, const Matrix& q, std::span<const int32_t> starts,
            const AttentionShape& shape, int64_t kv_heads, int64_t v_dim, DType k_type,
            const Matrix& out, std::byte* scratch, const SourceOf& source)
      : pool_(pool),
        q_(q),
        starts_(starts),
        shape_(shape),
        kv_heads_(kv_heads),
        v_dim_(v_dim),
        all_heads_(q.cols / shape.head_dim),
        group_(shape.group > 0 ? shape.group : all_heads_ / kv_heads),
        room_(shape.head_dim, v_dim, std::min(all_heads_, group_), shape.longest),
        tokens_per_task_(std::max<int64_t>(1, room_.kRows / room_.heads)),
        // Whole steps of bf16 pairs only: nothing is filled up behind a key.
        bf16_(bf16Products() != Bf16Products::kWidened && q.dtype == DType::kBF16 &&
              k_type == DType::kBF16 && shape.head_dim % 32 == 0),
        bf16_values_(bf16_ && v_dim % 32 == 0),
        out_(out),
        scratch_(reinterpret_cast<float*>(scratch)),
        source_(source) {
    for (int64_t b = 0; b < sequences(); ++b) tasks_ += blocksOf(b) * kv_heads_;
  }

  void run() const {
    const bool decode = sequences() == starts_.back();  // one token each
    if (decode && tasks_ < room_.sharedTasks(pool_.threads())) return runShared();
    pool_.run(tasks_, [&](int64_t task, uint32_t thread) {
      AttentionTask t = taskOf(task, thread);
      loadQueries(t);
      const auto [begin, end] = segmentsOf(t);
      const AttentionPart own = t.to, later = secondPart(thread);
      for (int64_t segment = begin; segment < end; ++segment) {
        t.to = segment == begin ? own : later;
        attendSegment(t, segment);
        t.to = own;
        if (segment > begin) HWY_DYNAMIC_DISPATCH(join)(t, later);
      }
      write(t);
    });
  }

 private:
  // Fewer tasks than keep the threads busy: each segment's result goes to a place of its own.
  void runShared() const {
    const int64_t each = room_.segments;
    const auto place = [&](int64_t task, int64_t segment) {
      return partAt(scratch_ + pool_.threads() * room_.floats() +
                        (task * each + segment) * room_.partFloats(room_.heads),
                    room_.heads);
    };
    pool_.run(tasks_ * each, [&](int64_t i, uint32_t thread) {
      AttentionTask t = taskOf(i / each, thread);
      const int64_t segment = i % each;
      const auto [begin, end] = segmentsOf(t);
      if (segment < begin || segment >= end) return;
      loadQueries(t);
      t.to = place(i / each, segment);
      attendSegment(t, segment);
    });
    pool_.run(tasks_, [&](int64_t task, uint32_t thread) {
      AttentionTask t = taskOf(task, thread);
      const auto [begin, end] = segmentsOf(t);
      t.to = place(task, begin);
      for (int64_t segment = begin + 1; segment < end; ++segment) {
        HWY_DYNAMIC_DISPATCH(join)(t, place(task, segment));
      }
      write(t);
    });
  }

  int64_t sequences() const { return static_cast<int64_t>(starts_.size()) - 1; }
  // Tasks of a sequence and KV head.
  int64_t blocksOf(int64_t b) const {
    return (starts_[b + 1] - starts_[b] + tokens_per_task_ - 1) / tokens_per_task_;
  }

  // Keys any of the task's tokens sees: [first, second).
  std::pair<int64_t, int64_t> keysOf(const AttentionTask& t) const {
    if (t.length > 0) return {0, t.length};
    return {oldestSeen(shape_, t.first_position), t.first_position + t.tokens};
  }
  // The segments they lie in.
  std::pair<int64_t, int64_t> segmentsOf(const AttentionTask& t) const {
    const auto [begin, end] = keysOf(t);
    return {begin / room_.segment_keys, (end - 1) / room_.segment_keys + 1};
  }
  void attendSegment(const AttentionTask& t, int64_t segment) const {
    const auto [begin, end] = keysOf(t);
    HWY_DYNAMIC_DISPATCH(attend)
    (t, std::max(begin, segment * room_.segment_keys),
     std::min(end, (segment + 1) * room_.segment_keys));
  }

  AttentionPart partAt(float* place, int64_t rows) const {
    float* const numbers = place + rows * room_.v_stride;
    return {place, numbers, numbers + rows};
  }
  // A thread's room: what taskOf() takes, then another part.
  float* roomOf(uint32_t thread) const { return scratch_ + thread * room_.floats(); }
  AttentionPart secondPart(uint32_t thread) const {
    return partAt(roomOf(thread) + room_.floats() - room_.partFloats(room_.rows), room_.rows);
  }

  AttentionTask taskOf(int64_t task, uint32_t thread) const {
    int64_t b = 0, block = task / kv_heads_;
    while (block >= blocksOf(b)) block -= blocksOf(b++);
    const int64_t kv_head = task % kv_heads_;
    const Source kv = source_(b, kv_head);
    AttentionTask t;
    t.k = kv.k;
    t.v = kv.v;
    t.first_position = kv.first_position + block * tokens_per_task_;
    t.length = kv.length;
    t.first_token = starts_[b] + block * tokens_per_task_;
    t.tokens = std::min<int64_t>(tokens_per_task_, starts_[b + 1] - t.first_token);
    // Query heads of the KV head: all of its group that are here.
    t.first_head = std::max<int64_t>(0, kv_head * group_ - shape_.first);
    t.heads = std::min(all_heads_, (kv_head + 1) * group_ - shape_.first) - t.first_head;
    t.sinks = shape_.sinks ? shape_.sinks + t.first_head : nullptr;
    t.shape = &shape_;
    t.bf16 = bf16_;
    t.bf16_values = bf16_values_;
    float* place = roomOf(thread);
    const auto take = [&](int64_t n) { return std::exchange(place, place + n); };
    t.q_stride = room_.k_stride;
    t.out_stride = room_.v_stride;
    t.q = take(room_.rows * t.q_stride);
    t.scores = take(room_.rows * kKeyBlock);
    t.turned = reinterpret_cast<uint32_t*>(take(room_.kTurnedKeys * t.q_stride));
    t.wide_stride = std::max(t.q_stride, t.out_stride);
    t.wide = take(kKeyBlock * t.wide_stride);
    t.to = partAt(place, room_.rows);
    return t;
  }

  // As attend() reads them.
  void loadQueries(const AttentionTask& t) const {
    for (int64_t i = 0; i < t.tokens * t.heads; ++i) {
      const int64_t head = t.first_head + i % t.heads;
      float* to = t.q + i * t.q_stride;
      const std::byte* from = q_.at(t.first_token + i / t.heads, head * shape_.head_dim);
      if (bf16_) {
        std::memcpy(to, from, shape_.head_dim * byteSize(q_.dtype));
        continue;
      }
      toF32(q_.dtype, from, to, shape_.head_dim);
      std::fill(to + shape_.head_dim, to + t.q_stride, 0.0f);
    }
  }

  void write(const AttentionTask& t) const {
    HWY_DYNAMIC_DISPATCH(finish)(t);
    for (int64_t i = 0; i < t.tokens * t.heads; ++i) {
      const int64_t head = t.first_head + i % t.heads;
      fromF32(t.to.out + i * t.out_stride, out_.dtype,
              out_.at(t.first_token + i / t.heads, head * v_dim_), v_dim_);
    }
  }

  ThreadPool& pool_;
  const Matrix& q_;
  std::span<const int32_t> starts_;
  const AttentionShape& shape_;
  int64_t kv_heads_, v_dim_, all_heads_, group_;
  plan::AttentionBlocks room_;
  int64_t tokens_per_task_;
  bool bf16_, bf16_values_;
  const Matrix& out_;
  float* scratch_;
  const SourceOf& source_;
  int64_t tasks_ = 0;
};

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
  Attention(pool, q, seqs.starts, shape, cache.heads, cache.v_dim, cache.dtype, out, scratch,
            source)
      .run();
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
  Attention(pool, q, starts, shape, kv_heads, v_dim, k.dtype, out, scratch, source).run();
}

}  // namespace dcc::cpu
#endif
