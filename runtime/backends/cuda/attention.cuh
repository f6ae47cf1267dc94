// What all kernels of attention share: which keys a query sees, where they are, and their scores.
#pragma once

#include <cmath>

#include "runtime/backends/cuda/elements.cuh"
#include "runtime/backends/cuda/kernels.h"

namespace dcc::cuda {

inline constexpr float kLog2E = 1.44269504f;
inline constexpr float kNone = -INFINITY;  // a score of what is not seen

// The query heads that read a KV head, of those that are here; perhaps none.
struct Heads {
  int first, count;
};
__host__ __device__ inline Heads headsOf(const AttentionShape& shape, int q_heads, int kv_heads,
                                         int kv_head) {
  const int group = shape.group > 0 ? static_cast<int>(shape.group) : q_heads / kv_heads;
  const int begin = kv_head * group - static_cast<int>(shape.first), end = begin + group;
  const int first = begin > 0 ? begin : 0;
  return {first, (end < q_heads ? end : q_heads) - first};
}
__host__ __device__ inline int kvHeadOf(const AttentionShape& shape, int q_heads, int kv_heads,
                                        int q_head) {
  return shape.group > 0 ? static_cast<int>((shape.first + q_head) / shape.group)
                         : q_head / (q_heads / kv_heads);
}
// Query heads of a KV head at most.
inline int mostHeads(const AttentionShape& shape, int q_heads, int kv_heads) {
  const int group = shape.group > 0 ? static_cast<int>(shape.group) : q_heads / kv_heads;
  return group < q_heads ? group : q_heads;
}

// Keys [begin, end) of a sequence.
struct KeyRange {
  int begin, end;
};
__device__ inline KeyRange causalRange(const AttentionShape& shape, int position) {
  int oldest = 0;
  if (shape.chunk > 0) {
    oldest = position - position % static_cast<int>(shape.chunk);
  } else if (shape.window > 0) {
    oldest = max(0, position - static_cast<int>(shape.window) + 1);
  }
  return {oldest, position + 1};
}

// Where a key and its value are.
struct KeyValue {
  const std::byte *k, *v;
};

// Keys and values in a cache. A page table has no page for keys that nobody sees any more.
struct CachedKeys {
  CacheView cache;
  PagesView pages;
  const int32_t* positions;  // StepView's

  __host__ __device__ DType kType() const { return cache.dtype; }
  __host__ __device__ DType vType() const { return cache.dtype; }
  __host__ __device__ int heads() const { return static_cast<int>(cache.heads); }
  __host__ __device__ int kDim() const { return static_cast<int>(cache.k_dim); }
  __host__ __device__ int vDim() const { return static_cast<int>(cache.v_dim); }
  // Elements from a key or value of kDim elements to the next of its page.
  template <int kDim>
  __device__ int64_t kStride() const {
    return kDim;
  }
  template <int kDim>
  __device__ int64_t vStride() const {
    return kDim;
  }

  __device__ KeyValue at(int sequence, int head, int key) const {
    const auto per_page = static_cast<unsigned>(cache.tokens_per_page);
    const unsigned index = static_cast<unsigned>(key) / per_page;
    const int64_t page = pages.pages[sequence * pages.stride + index];
    const unsigned slot = static_cast<unsigned>(key) - index * per_page;
    return {cache.k(page, head, slot), cache.v(page, head, slot)};
  }
  // What a token of the step sees.
  __device__ KeyRange seen(const AttentionShape& shape, int, int token) const {
    return causalRange(shape, positions[token]);
  }
};

// Keys and values of the step itself, all of which each token of the sequence sees.
struct PackedKeys {
  Matrix k, v;
  const int32_t* starts;  // StepView's
  int k_dim, v_dim;

  __host__ __device__ DType kType() const { return k.dtype; }
  __host__ __device__ DType vType() const { return v.dtype; }
  __host__ __device__ int heads() const { return static_cast<int>(k.cols) / k_dim; }
  __host__ __device__ int kDim() const { return k_dim; }
  __host__ __device__ int vDim() const { return v_dim; }
  template <int>
  __device__ int64_t kStride() const {
    return k.stride;
  }
  template <int>
  __device__ int64_t vStride() const {
    return v.stride;
  }

  __device__ KeyValue at(int sequence, int head, int key) const {
    const int64_t row = starts[sequence] + key;
    return {k.at(row, int64_t{head} * k_dim), v.at(row, int64_t{head} * v_dim)};
  }
  __device__ KeyRange seen(const AttentionShape&, int sequence, int) const {
    return {0, starts[sequence + 1] - starts[sequence]};
  }
};

// 2^x to about two units in the last place; 0 below 2^-126.
__device__ inline float powerOf2(float x) {
#ifdef __CUDA_ARCH__
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return std::exp2(x);
#endif
}
// 2^(x - max), 0 where nothing was seen.
__device__ inline float weightOf(float x, float max) {
  return powerOf2(x - (max == kNone ? 0 : max));
}

// Scores of products of queries and keys, in units of ln 2, so that weights are powers of two.
struct Scoring {
  float scale, cap;  // scale * product, or cap * tanh(scale * product) where cap > 0

  __host__ __device__ explicit Scoring(const AttentionShape& shape)
      : scale(shape.softcap > 0 ? shape.scale / shape.softcap : shape.scale * kLog2E),
        cap(shape.softcap * kLog2E) {}
  __device__ float operator()(float product) const {
    const float score = product * scale;
    return cap > 0 ? cap * tanhf(score) : score;
  }
  // For scores of 16-bit numbers: an error of 2^-22 of the cap, no branch.
  __device__ float capped(float product) const {
    return cap - __fdividef(2 * cap, powerOf2(product * (2 * kLog2E * scale)) + 1);
  }
};

}  // namespace dcc::cuda
