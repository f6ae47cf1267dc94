// Attention of one query head of one token per block: of any types and sizes.
#pragma once

#include "runtime/backends/cuda/attention_parts.cuh"

namespace dcc::cuda {

inline constexpr int kRowThreads = 128;

template <class Reduce>
__device__ float reduceWarp(float x, Reduce reduce) {
  DCC_UNROLL
  for (int bits = 16; bits > 0; bits /= 2) x = reduce(x, __shfl_xor_sync(~0u, x, bits));
  return x;
}

// Grid: `blocks` for the keys of each of some tokens from `first` on, by query heads. `sequences`:
// StepView's. Dynamic shared memory: the query and the sum of values.
template <class Keys>
__global__ void __launch_bounds__(kRowThreads)
    attentionRowKernel(Matrix q, Keys keys, const int32_t* sequences, Scope scope, Scoring score,
                       Matrix out, Splits splits, int blocks, int first) {
  waitForInputs();
  constexpr int kBlock = kRowThreads;  // keys at a time
  __shared__ KeyValue places[kBlock];
  __shared__ float scores[kBlock];
  __shared__ Weight weight;

  const int item = static_cast<int>(blockIdx.x) / blocks, token = first + item;
  const int head = static_cast<int>(blockIdx.y), tid = static_cast<int>(threadIdx.x);
  const int lane = tid % 32, warp = tid / 32;
  const int sequence = sequences[token];
  if (sequence < 0) return;
  const Cut cut(keys.seen(scope, sequence, token), splits.most);
  const int begin = static_cast<int>(blockIdx.x) % blocks;
  if (begin >= cut.count) return;

  const int k_dim = keys.kDim(), v_dim = keys.vDim(), kv_head = scope.kvHeadOf(head);
  float* const values = dynamicShared<float>();
  float* const query = values + valueStride(v_dim);
  for (int c = tid; c < k_dim; c += kBlock) query[c] = load(q, token, int64_t{head} * k_dim + c);

  const auto make = [&](KeyRange part) {
    for (int c = tid; c < v_dim; c += kBlock) values[c] = 0;
    float max = kNone, sum = 0;  // the same in all threads
    for (int block = part.begin; block < part.end; block += kBlock) {
      const int count = min(kBlock, part.end - block);
      __syncthreads();  // of those who read the last block's
      if (tid < count) places[tid] = keys.at(sequence, kv_head, block + tid);
      __syncthreads();
      for (int j = warp; j < count; j += kRowThreads / 32) {
        float product = 0;
        for (int c = lane; c < k_dim; c += 32) {
          product += query[c] * load(places[j].k, keys.kType(), c);
        }
        product = reduceWarp(product, [](float x, float y) { return x + y; });
        if (lane == 0) scores[j] = score(product);
      }
      __syncthreads();
      float largest = max;
      for (int j = lane; j < count; j += 32) largest = fmaxf(largest, scores[j]);
      largest = reduceWarp(largest, [](float x, float y) { return fmaxf(x, y); });
      __syncthreads();
      if (tid < count) scores[tid] = weightOf(scores[tid], largest);
      __syncthreads();
      float added = 0;
      for (int j = lane; j < count; j += 32) added += scores[j];
      added = reduceWarp(added, [](float x, float y) { return x + y; });
      const float shrink = weightOf(max, largest);
      sum = sum * shrink + added;
      max = largest;
      for (int c = tid; c < v_dim; c += kBlock) {
        float value = values[c] * shrink;
        for (int j = 0; j < count; ++j) value += scores[j] * load(places[j].v, keys.vType(), c);
        values[c] = value;
      }
    }
    if (tid == 0) weight = {max, sum};
    __syncthreads();
    return Parts{values, &weight, 0, 0, valueStride(v_dim), 1};
  };
  makeParts(cut, begin, blocks, {token, item, head, 1, scope.q_heads}, v_dim, scope.sinks, out,
            splits, make);
}

// Of all tokens.
template <class Keys>
void attentionByRows(const Launch& on, const Matrix& q, const Keys& keys, const int32_t* sequences,
                     const AttentionShape& shape, const Matrix& out, const Splits& splits) {
  const int64_t heads = q.cols / keys.kDim();
  const int64_t most = splits.most == 1 ? q.rows : tokensAtOnce(heads);
  const size_t shared = (valueStride(keys.vDim()) + keys.kDim()) * sizeof(float);
  const int blocks = blocksFor(q.rows * heads, splits.most);
  for (int64_t first = 0; first < q.rows; first += most) {
    const int64_t tokens = q.rows - first < most ? q.rows - first : most;
    launch(on, attentionRowKernel<Keys>,
           dim3(static_cast<unsigned>(tokens * blocks), static_cast<unsigned>(heads)),
           dim3(kRowThreads), shared, q, keys, sequences, Scope(shape, heads, keys.heads()),
           Scoring(shape), out, splits, blocks, static_cast<int>(first));
  }
}

}  // namespace dcc::cuda
