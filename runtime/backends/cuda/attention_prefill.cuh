// Attention of many tokens on tensor cores: a block has some rows of one sequence and KV head, of
// which it keeps the queries and the results, and goes over the keys in tiles. Values come while
// scores are made, and the next keys while values are weighed.
#pragma once

#include "runtime/backends/cuda/attention_tiles.cuh"

namespace dcc::cuda {

// The sizes of a block, and its elements of shared memory.
template <int kK, int kV>
struct PrefillTiles {
  // Keys and values that a warp reads serve two tiles of rows, where registers suffice for their
  // results.
  static constexpr int kRowTiles = kV <= 128 && kK <= 128 ? 2 : 1, kWarps = 8 / kRowTiles,
                       kKeys = 64;
  static constexpr int kThreads = kWarps * 32, kWarpRows = kRowTiles * 16;
  static constexpr int kRows = kWarps * kWarpRows;
  // Queries are kept in registers where these suffice beside the results.
  static constexpr bool kKeep = (kK + kV) * kRowTiles <= 256;
  static constexpr int kQueries = kRows * sharedStride(kK);
  static constexpr int kKeyTile = kKeys * sharedStride(kK);
  static constexpr size_t kBytes =
      (kQueries + kKeyTile + kKeys * sharedStride(kV)) * sizeof(uint16_t);
  static_assert(kV <= kK);  // results are gathered where the queries were
};

// Rows of a sequence are (token, query head) pairs, heads of a token next to each other. Blocks are
// numbered so that each finds its sequence without a list: those of sequence b begin at
// b + starts[b] * heads / kRows, behind which the sequences before have none. The last blocks of a
// sequence have the most keys, and come first.
template <class T, int kK, int kV, class Keys>
__global__ void __launch_bounds__(PrefillTiles<kK, kV>::kThreads)
    prefillKernel(Matrix q, Keys keys, const int32_t* starts, int sequences, int least, Scope scope,
                  Scoring score, Matrix out) {
  waitForInputs();
  using Tiles = PrefillTiles<kK, kV>;
  constexpr int kKeys = Tiles::kKeys, kWarpRows = Tiles::kWarpRows;
  const unsigned lane = threadIdx.x % 32;
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int kv_head = static_cast<int>(blockIdx.y);
  const Heads heads = scope.headsOf(kv_head);
  if (heads.count <= 0) return;

  const int number = static_cast<int>(gridDim.x - 1 - blockIdx.x);
  const auto firstOf = [&](int b) { return b + starts[b] * heads.count / Tiles::kRows; };
  int sequence = -1;
  for (int b = 0; b < sequences; b += 32) {
    const int mine = b + static_cast<int>(lane);
    sequence += __popc(__ballot_sync(~0u, mine < sequences && firstOf(mine) <= number));
  }
  const int start = starts[sequence], tokens = starts[sequence + 1] - start;
  const int all_rows = tokens * heads.count;
  const int first_row = (number - firstOf(sequence)) * Tiles::kRows;
  if (first_row >= all_rows || tokens < least) return;
  const auto tokenOf = [&](int row) { return start + row / heads.count; };
  const auto headOf = [&](int row) { return heads.first + row % heads.count; };
  // Rows behind the last are like it.
  const auto seenBy = [&](int row) {
    return keys.seen(scope, sequence, tokenOf(min(row, all_rows - 1)));
  };

  T* const queries = dynamicShared<T>() + warp * kWarpRows * sharedStride(kK);
  T* const key_tile = dynamicShared<T>() + Tiles::kQueries;
  T* const value_tile = key_tile + Tiles::kKeyTile;
  const int warp_row = first_row + warp * kWarpRows;
  DCC_ROLL
  for (unsigned piece = lane; piece < kWarpRows * kK / 8; piece += 32) {
    const int r = static_cast<int>(piece) / (kK / 8),
              column = static_cast<int>(piece) % (kK / 8) * 8;
    const int row = min(warp_row + r, all_rows - 1);
    copyAsync16(queries + r * sharedStride(kK) + column,
                q.at(tokenOf(row), int64_t{headOf(row)} * kK + column), true);
  }
  commitCopies();

  // The first row sees the oldest key, the last one the newest.
  const KeyRange first = seenBy(first_row), last = seenBy(first_row + Tiles::kRows - 1);

  // A warp brings keys that follow each other, which are in one page.
  constexpr int kEach = kKeys / Tiles::kWarps;
  static_assert(kTogether % kEach == 0);
  KeyValue place = {};
  const auto rowsOf = [&](int tile) {
    const int key = tile * kKeys + warp * kEach;
    return TileRange{max(0, first.begin - key), max(0, last.end - key)};
  };
  const auto fetchKeys = [&](int tile) {
    const int key = tile * kKeys + warp * kEach;
    if (key + kEach > first.begin && key < last.end) place = keys.at(sequence, kv_head, key);
    fetchRows<kEach, kK>(key_tile + warp * kEach * sharedStride(kK),
                         reinterpret_cast<const T*>(place.k), keys.template kStride<kK>(),
                         rowsOf(tile), lane);
    commitCopies();
  };
  const auto fetchValues = [&](int tile) {
    fetchRows<kEach, kV>(value_tile + warp * kEach * sharedStride(kV),
                         reinterpret_cast<const T*>(place.v), keys.template vStride<kV>(),
                         rowsOf(tile), lane);
    commitCopies();
  };

  int tile = first.begin / kKeys;
  const int end = (last.end - 1) / kKeys + 1;
  fetchKeys(tile);
  waitForCopies<1>();
  __syncwarp();
  const Queries<T, kK, Tiles::kRowTiles, Tiles::kKeep> operands(queries, lane);
  RowResults<T, kV, Tiles::kRowTiles> results;
  for (; tile < end; ++tile) {
    const int key = tile * kKeys;
    waitForCopies<0>();
    __syncthreads();  // the keys are there, and the last values done with
    fetchValues(tile);
    auto products = productsOf<kKeys>(operands, key_tile, lane);
    const auto weights = results.weigh(
        products, score, key >= last.begin && key + kKeys <= first.end,
        [&](int r, int half) {
          const KeyRange seen = seenBy(warp_row + static_cast<int>(lane) / 4 + 16 * r + 8 * half);
          return TileRange{max(0, seen.begin - key), max(0, seen.end - key)};
        },
        lane);
    waitForCopies<0>();
    __syncthreads();  // the values are there, and the keys done with
    if (tile + 1 < end) fetchKeys(tile + 1);
    results.add(weights, value_tile, lane);
  }
  results.addUp();

  // Through shared memory, so that rows are written 16 bytes at a time.
  __syncwarp();
  DCC_UNROLL
  for (int i = 0; i < 2 * Tiles::kRowTiles; ++i) {
    const int r = i / 2, half = i % 2, in_warp = static_cast<int>(lane) / 4 + 8 * i;
    float factor = 1, sum = results.sum[r][half];
    if (scope.sinks != nullptr) {
      const float max = results.max[r][half];
      const float sink = scope.sinks[headOf(warp_row + in_warp)] * kLog2E, most = fmaxf(sink, max);
      factor = powerOf2(max - most);
      sum = sum * factor + powerOf2(sink - most);
    }
    factor /= sum;
    T* const row = queries + in_warp * sharedStride(kK);
    DCC_UNROLL
    for (int n = 0; n < kV / 8; ++n) {
      *reinterpret_cast<uint32_t*>(row + n * 8 + lane % 4 * 2) = packPair<T>(
          results.values.at(r, half, n, 0) * factor, results.values.at(r, half, n, 1) * factor);
    }
  }
  __syncwarp();
  DCC_ROLL
  for (unsigned piece = lane; piece < kWarpRows * kV / 8; piece += 32) {
    const int r = static_cast<int>(piece) / (kV / 8),
              column = static_cast<int>(piece) % (kV / 8) * 8;
    const int row = warp_row + r;
    if (row >= all_rows) break;
    *reinterpret_cast<Bytes16*>(out.at(tokenOf(row), int64_t{headOf(row)} * kV + column)) =
        *reinterpret_cast<const Bytes16*>(queries + r * sharedStride(kK) + column);
  }
}

template <class Keys>
struct Prefill {
  const Launch& on;
  const Matrix& q;
  const Keys& keys;
  const StepView& step;
  const AttentionShape& shape;
  const Matrix& out;
  int least;  // of sequences with fewer tokens it does nothing

  template <class T, int kK, int kV>
  void run() const {
    using Tiles = PrefillTiles<kK, kV>;
    const Scope scope(shape, q.cols / kK, keys.heads());
    const dim3 grid(static_cast<unsigned>(q.rows * scope.mostHeads() / Tiles::kRows + step.B),
                    static_cast<unsigned>(keys.heads()));
    allowShared(prefillKernel<T, kK, kV, Keys>, Tiles::kBytes);
    launch(on, prefillKernel<T, kK, kV, Keys>, grid, dim3(Tiles::kThreads), Tiles::kBytes, q, keys,
           step.starts, static_cast<int>(step.B), least, scope, Scoring(shape), out);
  }
};

}  // namespace dcc::cuda
