// What all kernels of attention share: which keys a query sees, where they are, and their scores.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "runtime/backends/cuda/elements.cuh"
#include "runtime/backends/cuda/kernels.h"

namespace dcc::cuda {

inline constexpr float kLog2E = 1.44269504f;
inline constexpr float kNone = -INFINITY;  // a score of what is not seen

// The query heads that read a KV head, of those that are here; perhaps none.
struct Heads {
  int first, count;
};
// What of an AttentionShape kernels use, worked out so that no block has to divide.
struct Scope {
  int q_heads, group, first;  // query head h reads KV head (first + h) / group
  int window, chunk;
  const float* sinks;

  Scope(const AttentionShape& shape, int64_t q_heads, int64_t kv_heads)
      : q_heads(static_cast<int>(q_heads)),
        group(static_cast<int>(shape.group > 0 ? shape.group : q_heads / kv_heads)),
        first(static_cast<int>(shape.first)),
        window(static_cast<int>(std::min<int64_t>(shape.window, INT32_MAX))),
        chunk(static_cast<int>(std::min<int64_t>(shape.chunk, INT32_MAX))),
        sinks(shape.sinks) {}

  __device__ Heads headsOf(int kv_head) const {
    const int begin = kv_head * group - first, from = max(0, begin);
    return {from, min(q_heads, begin + group) - from};
  }
  __device__ int kvHeadOf(int q_head) const { return (first + q_head) / group; }
  // Query heads of a KV head at most.
  int mostHeads() const { return std::min(group, q_heads); }
};

// Keys [begin, end) of a sequence.
struct KeyRange {
  int begin, end;
};
__device__ inline KeyRange causalRange(const Scope& scope, int position) {
  int oldest = 0;
  if (scope.chunk > 0) {
    oldest = position - position % scope.chunk;
  } else if (scope.window > 0) {
    oldest = max(0, position - scope.window + 1);
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
  int page_shift;            // log2 of a page's tokens, or -1

  CachedKeys(const CacheView& cache, const PagesView& pages, const int32_t* positions)
      : cache(cache),
        pages(pages),
        positions(positions),
        page_shift(std::has_single_bit(static_cast<uint64_t>(cache.tokens_per_page))
                       ? std::countr_zero(static_cast<uint64_t>(cache.tokens_per_page))
                       : -1) {}

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
    const unsigned index = page_shift >= 0 ? static_cast<unsigned>(key) >> page_shift
                                           : static_cast<unsigned>(key) / per_page;
    const int64_t page = pages.pages[sequence * pages.stride + index];
    const unsigned slot = static_cast<unsigned>(key) - index * per_page;
    return {cache.k(page, head, slot), cache.v(page, head, slot)};
  }
  // What a token of the step sees.
  __device__ KeyRange seen(const Scope& scope, int, int token) const {
    return causalRange(scope, positions[token]);
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
  __device__ KeyRange seen(const Scope&, int sequence, int) const {
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

  explicit Scoring(const AttentionShape& shape)
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
