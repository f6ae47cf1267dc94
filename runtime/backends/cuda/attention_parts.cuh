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
  int count;  // of parts
};
__host__ __device__ constexpr int valueStride(int v_dim) { return (v_dim + 3) / 4 * 4; }

// Keys of a token in equal parts of `each` units, the first of which begins at unit `first`.
struct Cut {
  static constexpr int kUnit = 64, kLeastUnits = 2;

  KeyRange all;
  int first, each, count;

  // In at most `most` parts. That depends on how many keys a token sees, not on who else is in the
  // step.
  __device__ Cut(KeyRange all, int most) : all(all), first(all.begin / kUnit) {
    const int units = (all.end - 1) / kUnit + 1 - first;
    const bool many = units > kLeastUnits * most;
    each = many ? (units + most - 1) / most : kLeastUnits;
    count = many ? (units + each - 1) / each : (units + kLeastUnits - 1) / kLeastUnits;
  }
  __device__ KeyRange part(int i) const {
    const int begin = (first + i * each) * kUnit;
    return {max(all.begin, begin), min(all.end, begin + each * kUnit)};
  }
};

// Where parts go that blocks share.
struct Splits {
  int most = 1;                  // parts of a token's keys
  uint32_t* counters = nullptr;  // Launch's: one for each token and query head of a launch
  float* values = nullptr;       // [tokens, query heads, most, v_stride]
  Weight* weights = nullptr;     // [tokens, query heads, most]
};

// Parts of a sequence at most: two blocks for each processor, where one sequence is alone.
int splitsAtMost(const AttentionShape& shape, int kv_heads);
// In `scratch` for `tokens`, as attentionScratchBytes() counts.
Splits splitsIn(const Launch& on, std::byte* scratch, int most, int64_t tokens, int64_t q_heads,
                int v_dim);
// Blocks for the parts of a token's keys: as many as keep the processors busy, where there are
// `items` tokens and KV heads.
int blocksFor(int64_t items, int most);
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
__device__ Joined join(const Parts& parts, int row, int column) {
  const auto index = [&](int part) { return part * parts.part_step + row * parts.row_step; };
  float most = kNone;
  for (int p = 0; p < parts.count; ++p)
    most = fmaxf(most, read<kShared>(&parts.weights[index(p)].max));
  Joined all = {{0, 0, 0, 0}, {most, 0}};
  for (int p = 0; p < parts.count; ++p) {
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

// Makes a token's results from parts of its keys, of which this block takes every step-th from
// `begin` on. `make(keys)`, for all threads, gives its warps' parts for these keys in shared memory
// and leaves them seen by a barrier. Rows' results are written where the block has all keys; else
// their parts go to memory, and the last block to finish joins them.
template <class Make>
__device__ void makeParts(const Cut& cut, int begin, int step, const RowsOfToken& rows, int v_dim,
                          const float* sinks, const Matrix& out, const Splits& splits,
                          const Make& make) {
  const int v_stride = valueStride(v_dim), columns = v_stride / 4;
  const auto forEach = [&](auto&& body) {
    for (int i = static_cast<int>(threadIdx.x); i < rows.count * columns;
         i += static_cast<int>(blockDim.x)) {
      body(i / columns, i % columns * 4);
    }
  };
  const auto write = [&](const Joined& all, int row, int column) {
    writeResult(all, sinks, rows.first_head + row, column, v_dim, out, rows.token);
  };
  const int64_t counter = int64_t{rows.item} * rows.q_heads + rows.first_head;
  const int64_t first = counter * splits.most;
  const Parts shared = {splits.values + first * v_stride,
                        splits.weights + first,
                        1,
                        splits.most,
                        v_stride,
                        cut.count};
  int done = 0;
  for (int part = begin; part < cut.count; part += step, ++done) {
    if (done > 0) __syncthreads();  // the last part's have been read
    const Parts own = make(cut.part(part));
    forEach([&](int row, int column) {
      const Joined mine = join<true>(own, row, column);
      if (cut.count == 1) return write(mine, row, column);
      const int64_t at = int64_t{row} * shared.row_step + part;
      *reinterpret_cast<float4*>(shared.values + at * v_stride + column) = mine.values;
      if (column == 0) shared.weights[at] = mine.weight;
    });
  }
  if (cut.count == 1) return;

  __threadfence();
  __syncthreads();
  __shared__ bool last;
  if (threadIdx.x == 0) {
    const auto mine = static_cast<unsigned>(done), all = static_cast<unsigned>(cut.count);
    last = atomicAdd(&splits.counters[counter], mine) + mine == all;
    if (last) splits.counters[counter] = 0;
  }
  __syncthreads();
  if (!last) return;
  __threadfence();
  forEach([&](int row, int column) { write(join<false>(shared, row, column), row, column); });
}

}  // namespace dcc::cuda
