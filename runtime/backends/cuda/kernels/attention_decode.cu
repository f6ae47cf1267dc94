// Attention of one token of each sequence: keys and values pass once, at the memory's speed, for
// all query heads that read them.
//
// A block has one KV head of one sequence, up to 16 of its query heads as rows of a tensor core's
// tile, and a part of the keys. Its warps take tiles of keys in turns, each with copies of its own
// under way, and their results are joined at the end.
#include <algorithm>

#include "runtime/backends/cuda/attention_parts.cuh"
#include "runtime/backends/cuda/attention_rows.cuh"
#include "runtime/backends/cuda/attention_tiles.cuh"

namespace dcc::cuda {
namespace {

constexpr int kWarps = 4, kStages = 2, kRows = 16, kKeys = kTogether;

// Elements of shared memory: queries, then keys and values, and where these were the parts of the
// warps.
template <int kK, int kV>
struct Room {
  static constexpr int kKeyTile = kKeys * sharedStride(kK);
  static constexpr int kStage = kKeyTile + kKeys * sharedStride(kV);
  static constexpr int kQueries = kRows * sharedStride(kK);
  static constexpr size_t kBytes = (kQueries + kWarps * kStages * kStage) * sizeof(uint16_t);
  static_assert(kWarps * kRows * kV * sizeof(float) <=
                kWarps * kStages * kStage * sizeof(uint16_t));
};

// Of sequences that have one token. Grid: blocks that share the keys, KV heads times tiles of their
// query heads, sequences from `first` on.
template <class T, int kK, int kV>
__global__ void __launch_bounds__(kWarps * 32)
    decodeKernel(Matrix q, CachedKeys keys, const int32_t* starts, Scope scope, Scoring score,
                 Matrix out, Splits splits, unsigned row_tiles, int first) {
  waitForInputs();
  using Room = Room<kK, kV>;
  __shared__ Weight weights[kWarps][kRows];
  T* const shared = dynamicShared<T>();

  const int sequence = first + static_cast<int>(blockIdx.z);
  const int kv_head = static_cast<int>(row_tiles == 1 ? blockIdx.y : blockIdx.y / row_tiles);
  const int first_row =
      (static_cast<int>(blockIdx.y) - kv_head * static_cast<int>(row_tiles)) * kRows;
  const unsigned lane = threadIdx.x % 32;
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int token = starts[sequence];
  const Heads heads = scope.headsOf(kv_head);
  const int rows = min(kRows, heads.count - first_row), first_head = heads.first + first_row;
  if (starts[sequence + 1] != token + 1 || rows <= 0) return;
  const Cut cut(keys.seen(scope, sequence, token), splits.most);
  if (static_cast<int>(blockIdx.x) >= cut.count) return;

  constexpr int kEach = kRows / kWarps;
  fetchRows<kEach, kK>(
      shared + warp * kEach * sharedStride(kK),
      reinterpret_cast<const T*>(q.at(token, int64_t{first_head + warp * kEach} * kK)), kK,
      {0, max(0, rows - warp * kEach)}, lane);
  commitCopies();

  T* const stages = shared + Room::kQueries;
  T* const own_stages = stages + warp * kStages * Room::kStage;
  const auto make = [&](KeyRange part) {
    const int end = (part.end - 1) / kKeys + 1;
    const auto seenOf = [&](int tile) {
      return TileRange{max(0, part.begin - tile * kKeys), part.end - tile * kKeys};
    };
    // Keys [kKeys * tile, ...), of which those that the token does not see may be no numbers.
    const auto fetch = [&](int tile, int stage) {
      if (tile < end) {
        const KeyValue from = keys.at(sequence, kv_head, tile * kKeys);
        const TileRange seen = seenOf(tile);
        T* const to = own_stages + stage * Room::kStage;
        fetchRows<kKeys, kK>(to, reinterpret_cast<const T*>(from.k), kK, seen, lane);
        fetchRows<kKeys, kV>(to + Room::kKeyTile, reinterpret_cast<const T*>(from.v), kV, seen,
                             lane);
      }
      commitCopies();
    };
    int tile = part.begin / kKeys + warp;
    DCC_UNROLL
    for (int stage = 0; stage < kStages; ++stage) fetch(tile + stage * kWarps, stage);

    waitForCopies<kStages>();
    __syncthreads();
    const Queries<T, kK, 1, true> operands(shared, lane);
    RowResults<T, kV, 1> results;
    for (int stage = 0; tile < end; tile += kWarps, stage = (stage + 1) % kStages) {
      waitForCopies<kStages - 1>();
      __syncwarp();
      const T* at = own_stages + stage * Room::kStage;
      auto products = productsOf<kKeys>(operands, at, lane);
      const TileRange seen = seenOf(tile);
      const auto weights = results.weigh(
          products, score, seen.begin == 0 && seen.end >= kKeys, [&](int, int) { return seen; },
          lane);
      results.add(weights, at + Room::kKeyTile, lane);
      __syncwarp();
      fetch(tile + kStages * kWarps, stage);
    }
    results.addUp();

    waitForCopies<0>();
    __syncthreads();
    const Parts parts = {reinterpret_cast<float*>(stages), weights[0], kRows, 1, kV, kWarps};
    DCC_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = static_cast<int>(lane) / 4 + 8 * half, place = warp * kRows + row;
      if (row >= rows) continue;
      DCC_UNROLL
      for (int n = 0; n < kV / 8; ++n) {
        *reinterpret_cast<float2*>(parts.values + place * kV + n * 8 + lane % 4 * 2) =
            make_float2(results.values.at(0, half, n, 0), results.values.at(0, half, n, 1));
      }
      if (lane % 4 == 0) weights[warp][row] = {results.max[0][half], results.sum[0][half]};
    }
    __syncthreads();
    return parts;
  };
  makeParts(cut, static_cast<int>(blockIdx.x), static_cast<int>(gridDim.x),
            {token, sequence - first, first_head, rows, scope.q_heads}, kV, scope.sinks, out,
            splits, make);
}

struct Decode {
  const Launch& on;
  const Matrix& q;
  const CachedKeys& keys;
  const StepView& step;
  const AttentionShape& shape;
  const Matrix& out;
  const Splits& splits;

  template <class T, int kK, int kV>
  void run() const {
    const Scope scope(shape, q.cols / kK, keys.heads());
    const int tiles = (scope.mostHeads() + kRows - 1) / kRows;
    const int64_t most = tokensAtOnce(scope.q_heads);
    const int blocks = blocksFor(step.B * keys.heads() * tiles, splits.most);
    allowShared(decodeKernel<T, kK, kV>, Room<kK, kV>::kBytes);
    for (int64_t first = 0; first < step.B; first += most) {
      const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(keys.heads() * tiles),
                      static_cast<unsigned>(std::min(most, step.B - first)));
      launch(on, decodeKernel<T, kK, kV>, grid, dim3(kWarps * 32), Room<kK, kV>::kBytes, q, keys,
             step.starts, scope, Scoring(shape), out, splits, static_cast<unsigned>(tiles),
             static_cast<int>(first));
    }
  }
};

int processors() {
  int device = 0, count = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
  return count;
}

}  // namespace

int splitsAtMost(const AttentionShape& shape, int kv_heads) {
  int64_t seen = shape.longest;
  if (shape.window > 0) seen = std::min(seen, shape.window);
  if (shape.chunk > 0) seen = std::min(seen, shape.chunk);
  constexpr int64_t kLeast = Cut::kUnit * Cut::kLeastUnits, kMost = 64;
  const int64_t room = std::clamp<int64_t>((seen + kLeast - 1) / kLeast, 1, kMost);
  return static_cast<int>(
      std::clamp<int64_t>((2 * processors() + kv_heads - 1) / kv_heads, 1, room));
}

int blocksFor(int64_t items, int most) {
  const int64_t wanted = 3 * processors();  // as many as fit
  return static_cast<int>(std::clamp<int64_t>((wanted + items - 1) / items, 1, most));
}

Splits splitsIn(const Launch& on, std::byte* scratch, int most, int64_t tokens, int64_t q_heads,
                int v_dim) {
  Splits splits;
  splits.most = most;
  splits.counters = on.counters;
  splits.values = reinterpret_cast<float*>(scratch);
  splits.weights =
      reinterpret_cast<Weight*>(splits.values + tokens * q_heads * most * valueStride(v_dim));
  return splits;
}

size_t attentionScratchBytes(int64_t B, int64_t q_heads, const CacheView& cache,
                             const AttentionShape& shape) {
  const int64_t parts = B * q_heads * splitsAtMost(shape, static_cast<int>(cache.heads));
  return parts * (valueStride(static_cast<int>(cache.v_dim)) * sizeof(float) + sizeof(Weight));
}

bool decodeByTiles(const Launch& on, const Matrix& q, const CachedKeys& keys, const StepView& step,
                   const AttentionShape& shape, const Matrix& out, std::byte* scratch) {
  const Splits splits = splitsIn(on, scratch, splitsAtMost(shape, keys.heads()), step.B,
                                 q.cols / keys.kDim(), keys.vDim());
  return tilesTake(keys.cache, q, out, shape) &&
         forTileSizes(keys.kType(), keys.kDim(), keys.vDim(),
                      Decode{on, q, keys, step, shape, out, splits});
}

void decodeAttention(const Launch& on, const Matrix& q, const CacheView& cache,
                     const StepView& step, const PagesView& pages, const AttentionShape& shape,
                     const Matrix& out, std::byte* scratch) {
  if (q.rows == 0) return;
  const CachedKeys keys = {cache, pages, step.positions};
  if (decodeByTiles(on, q, keys, step, shape, out, scratch)) return;
  const Splits splits = splitsIn(on, scratch, splitsAtMost(shape, keys.heads()), step.B,
                                 q.cols / keys.kDim(), keys.vDim());
  attentionByRows(on, q, keys, step.sequences, shape, out, splits);
}

}  // namespace dcc::cuda
