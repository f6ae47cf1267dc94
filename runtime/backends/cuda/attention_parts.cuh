// Attention over keys that several blocks or warps have shared: what each has made of its keys is a
// part, and parts are joined in the order of their keys.
#pragma once

#include "runtime/backends/cuda/attention.cuh"

namespace dcc::cuda {

// What rows (query heads of a token) have made of some keys: their values' sum, each times
// 2^(score - max), and the sum of these weights.
struct Weight {
  float max, sum;
};
struct Parts {
  float* values;    // part p of row r: [v_stride] from (p * part_step + r * row_step) * v_stride on
  Weight* weights;  // at p * part_step + r * row_step
  int part_step, row_step, v_stride;
};
__host__ __device__ constexpr int valueStride(int v_dim) { return (v_dim + 3) / 4 * 4; }

// How the keys of a sequence are cut for blocks: in as many equal parts as there are blocks, of
// kUnit keys or a multiple. That depends on how many a token sees, not on who else is in the step.
struct Splits {
  static constexpr int kUnit = 64, kLeastUnits = 2;

  int most = 1;                  // parts of a sequence
  uint32_t* counters = nullptr;  // Launch's: one for each token and query head of a launch
  float* values = nullptr;       // [tokens, query heads, most, v_stride]
  Weight* weights = nullptr;     // [tokens, query heads, most]

  // Part `i` of `all`, which is not empty; and how many there are.
  struct Part {
    KeyRange keys;
    int count;
  };
  __device__ Part part(KeyRange all, int i) const {
    const int first = all.begin / kUnit, units = (all.end - 1) / kUnit + 1 - first;
    const bool many = units > kLeastUnits * most;
    const int each = many ? (units + most - 1) / most : kLeastUnits;
    const int begin = (first + i * each) * kUnit;
    return {{max(all.begin, begin), min(all.end, begin + each * kUnit)},
            many ? (units + each - 1) / each : (units + kLeastUnits - 1) / kLeastUnits};
  }
};

// Parts of a sequence at most: two blocks for each processor, where one sequence is alone.
int splitsAtMost(const AttentionShape& shape, int kv_heads);
// In `scratch` for `tokens`, as attentionScratchBytes() counts.
Splits splitsIn(const Launch& on, std::byte* scratch, int most, int64_t tokens, int64_t q_heads,
                int v_dim);
// Tokens of a launch at most, for counters and sizes of grids.
inline int64_t tokensAtOnce(int64_t q_heads) {
  const int64_t most = kCounters / q_heads;
  return most < 65535 ? most : 65535;
}

// Whose the rows of a block are: query heads of a token, which is the item-th of the launch.
struct RowsOfToken {
  int token, item, first_head, count, q_heads;
};

struct Joined {
  float4 values;  // of columns [column, column + 4)
  Weight weight;
};
// Whether in shared memory, or in memory that other processors have written.
template <bool kShared, class T>
__device__ T read(const T* at) {
  if constexpr (kShared) return *at;
  return __ldcg(at);
}
template <bool kShared>
__device__ Joined join(const Parts& parts, int count, int row, int column) {
  const auto index = [&](int part) { return part * parts.part_step + row * parts.row_step; };
  float most = kNone;
  for (int p = 0; p < count; ++p) most = fmaxf(most, read<kShared>(&parts.weights[index(p)].max));
  Joined all = {{0, 0, 0, 0}, {most, 0}};
  for (int p = 0; p < count; ++p) {
    const int64_t at = index(p);
    const float factor = weightOf(read<kShared>(&parts.weights[at].max), most);
    const float4 v =
        read<kShared>(reinterpret_cast<const float4*>(parts.values + at * parts.v_stride + column));
    all.weight.sum += factor * read<kShared>(&parts.weights[at].sum);
    all.values.x += factor * v.x;
    all.values.y += factor * v.y;
    all.values.z += factor * v.z;
    all.values.w += factor * v.w;
  }
  return all;
}

// Divided by the sum of weights, to which a sink adds one more.
__device__ inline void writeResult(const Joined& all, const float* sinks, int head, int column,
                                   int v_dim, const Matrix& out, int token) {
  float factor = 1, sum = all.weight.sum;
  if (sinks != nullptr) {
    const float sink = sinks[head] * kLog2E, most = fmaxf(sink, all.weight.max);
    factor = powerOf2(all.weight.max - most);
    sum = sum * factor + powerOf2(sink - most);
  }
  factor /= sum;
  const float values[] = {all.values.x, all.values.y, all.values.z, all.values.w};
  DCC_UNROLL
  for (int i = 0; i < 4; ++i) {
    if (column + i < v_dim)
      store(out, token, int64_t{head} * v_dim + column + i, values[i] * factor);
  }
}

// The end of a block, whose `own` parts lie in shared memory and have been seen by a barrier: rows'
// results where the block had all keys; else their parts go to memory, and the last block of
// `splits` for these rows joins them.
__device__ inline void deliver(const Parts& own, int own_count, const RowsOfToken& rows, int v_dim,
                               const float* sinks, const Matrix& out, const Splits& splits,
                               int split, int count) {
  const int columns = own.v_stride / 4;
  const auto forEach = [&](auto&& body) {
    for (int i = static_cast<int>(threadIdx.x); i < rows.count * columns;
         i += static_cast<int>(blockDim.x)) {
      body(i / columns, i % columns * 4);
    }
  };
  const auto write = [&](const Joined& all, int row, int column) {
    writeResult(all, sinks, rows.first_head + row, column, v_dim, out, rows.token);
  };
  if (count == 1) {
    forEach(
        [&](int row, int column) { write(join<true>(own, own_count, row, column), row, column); });
    return;
  }

  const int64_t counter = int64_t{rows.item} * rows.q_heads + rows.first_head;
  const int64_t first = counter * splits.most;
  const Parts all = {splits.values + first * own.v_stride, splits.weights + first, 1, splits.most,
                     own.v_stride};
  forEach([&](int row, int column) {
    const Joined mine = join<true>(own, own_count, row, column);
    const int64_t at = int64_t{row} * all.row_step + split;
    *reinterpret_cast<float4*>(all.values + at * all.v_stride + column) = mine.values;
    if (column == 0) all.weights[at] = mine.weight;
  });
  __threadfence();
  __syncthreads();
  __shared__ bool last;
  if (threadIdx.x == 0) {
    last = atomicAdd(&splits.counters[counter], 1u) == static_cast<unsigned>(count) - 1;
    if (last) splits.counters[counter] = 0;
  }
  __syncthreads();
  if (!last) return;
  __threadfence();
  forEach([&](int row, int column) { write(join<false>(all, count, row, column), row, column); });
}

}  // namespace dcc::cuda
