// Attention on tensor cores: a warp has some rows of queries, (token, query head) pairs that read
// the same KV head, and takes keys a tile at a time, with a running maximum and sums relative to
// it. For queries, keys and values of one 16-bit type.
#pragma once

#include "runtime/backends/cuda/async_copy.cuh"
#include "runtime/backends/cuda/attention.cuh"
#include "runtime/backends/cuda/mma.cuh"

namespace dcc::cuda {

// Rows in shared memory lie 16 bytes further apart than they are long: eight rows of a matrix that
// ldmatrix reads are then in different banks.
__host__ __device__ constexpr int sharedStride(int dim) { return dim + 8; }

// Rows or keys [begin, end) of those of a tile.
struct TileRange {
  int begin, end;
  __device__ bool has(unsigned row) const {
    return row - static_cast<unsigned>(begin) < static_cast<unsigned>(end - begin);
  }
};

// Brings kRows rows of kDim elements to shared memory, by a warp and asynchronously: row r from
// `from + r * stride`, a multiple of 16 bytes; zeros for those not in `valid`.
template <int kRows, int kDim, class T>
__device__ void fetchRows(T* to, const T* from, int64_t stride, TileRange valid, unsigned lane) {
  constexpr unsigned kPieces = kDim / 8, kAll = kRows * kPieces, kTurns = (kAll + 31) / 32;
  if constexpr (32 % kPieces == 0) {
    // A lane stays in its column: all but the first row are at constants from there.
    constexpr unsigned kStep = 32 / kPieces;
    const unsigned first = lane / kPieces, column = lane % kPieces * 8;
    to += first * sharedStride(kDim) + column;
    from += first * stride + column;
    DCC_UNROLL
    for (unsigned i = 0; i < kTurns; ++i) {
      copyAsync16(to + i * kStep * sharedStride(kDim), from + i * kStep * stride,
                  valid.has(first + i * kStep));
    }
  } else {
    DCC_UNROLL
    for (unsigned i = 0; i < kTurns; ++i) {
      const unsigned piece = i * 32 + lane, row = piece / kPieces, column = piece % kPieces * 8;
      if (kAll % 32 != 0 && piece >= kAll) break;
      copyAsync16(to + row * sharedStride(kDim) + column, from + row * stride + column,
                  valid.has(row));
    }
  }
}

// The queries of a warp, kRowTiles times 16 rows, as operands: kept in registers where these are
// few, else read from shared memory again for each tile of keys.
template <class T, int kDim, int kRowTiles, bool kKeep>
class Queries {
 public:
  // `rows` holds until the last use where they are not kept.
  __device__ Queries(const T* rows, unsigned lane)
      : rows_(fragmentRow(rows, sharedStride(kDim), lane)) {
    if constexpr (kKeep) {
      DCC_UNROLL
      for (int i = 0; i < kRowTiles * kDim / 16; ++i)
        kept_[i] = read(i / (kDim / 16), i % (kDim / 16));
    }
  }
  // Columns [16 * step, 16 * step + 16).
  __device__ FragmentA operator()(int tile, int step) const {
    if constexpr (kKeep) return kept_[tile * (kDim / 16) + step];
    return read(tile, step);
  }

 private:
  __device__ FragmentA read(int tile, int step) const {
    const FourMatrices m = loadMatrices(rows_ + tile * 16 * sharedStride(kDim) + step * 16);
    return {{m.words[0], m.words[1], m.words[2], m.words[3]}};
  }

  const T* rows_;
  FragmentA kept_[kKeep ? kRowTiles * kDim / 16 : 1];
};

// Scores or results: tile r of 16 rows, columns [8 n, 8 n + 8). A lane has two rows of each tile,
// `half` 0 and 1, at lane / 4 + 8 * half.
template <int kRowTiles, int kColumns>
struct Sums {
  FragmentC of[kRowTiles][kColumns / 8];

  __device__ float& at(int tile, int half, int n, int i) {
    return of[tile][n].values[2 * half + i];
  }
};

// queries * keys', kKeys keys from `keys` in shared memory.
template <int kKeys, class T, int kDim, int kRowTiles, bool kKeep>
__device__ Sums<kRowTiles, kKeys> productsOf(const Queries<T, kDim, kRowTiles, kKeep>& queries,
                                             const T* keys, unsigned lane) {
  Sums<kRowTiles, kKeys> sums = {};
  const T* row = transposedRow(keys, sharedStride(kDim), lane);
  DCC_UNROLL
  for (int step = 0; step < kDim / 16; ++step) {
    FragmentA q[kRowTiles];
    DCC_UNROLL
    for (int r = 0; r < kRowTiles; ++r) q[r] = queries(r, step);
    DCC_UNROLL
    for (int n = 0; n < kKeys / 16; ++n) {
      const FourMatrices m = loadMatrices(row + n * 16 * sharedStride(kDim) + step * 16);
      DCC_UNROLL
      for (int r = 0; r < kRowTiles; ++r) {
        multiplyAdd<T>(q[r], {{m.words[0], m.words[1]}}, sums.of[r][2 * n]);
        multiplyAdd<T>(q[r], {{m.words[2], m.words[3]}}, sums.of[r][2 * n + 1]);
      }
    }
  }
  return sums;
}

// Weights of keys, as operands.
template <int kRowTiles, int kKeys>
struct Weights {
  FragmentA of[kRowTiles][kKeys / 16];
};

// What a warp's rows have made of their keys so far. A lane's `sum` is of its own keys only until
// addUp().
template <class T, int kDim, int kRowTiles>
struct RowResults {
  Sums<kRowTiles, kDim> values = {};
  float max[kRowTiles][2], sum[kRowTiles][2];

  __device__ RowResults() {
    DCC_UNROLL
    for (int r = 0; r < kRowTiles; ++r) {
      max[r][0] = max[r][1] = kNone;
      sum[r][0] = sum[r][1] = 0;
    }
  }

  // Weights of kKeys more keys, of their products with the queries. A row sees the keys
  // seen(tile, half) of them; `all`: all rows see all. Scores grow with products.
  template <int kKeys, class Seen>
  __device__ Weights<kRowTiles, kKeys> weigh(Sums<kRowTiles, kKeys>& products, const Scoring& score,
                                             bool all, const Seen& seen, unsigned lane) {
    if (score.cap > 0) {
      DCC_UNROLL
      for (int i = 0; i < kRowTiles * kKeys / 2; ++i) {
        float& x = products.of[i / (kKeys / 2)][i / 4 % (kKeys / 8)].values[i % 4];
        x = score.capped(x);
      }
    }
    if (!all) {
      DCC_UNROLL
      for (int row = 0; row < 2 * kRowTiles; ++row) {
        const TileRange keys = seen(row / 2, row % 2);
        DCC_UNROLL
        for (int i = 0; i < kKeys / 4; ++i) {
          if (!keys.has(i / 2 * 8 + lane % 4 * 2 + i % 2)) {
            products.at(row / 2, row % 2, i / 2, i % 2) = kNone;
          }
        }
      }
    }
    const float scale = score.cap > 0 ? 1 : score.scale;
    Weights<kRowTiles, kKeys> weights;
    DCC_UNROLL
    for (int r = 0; r < kRowTiles; ++r) {
      DCC_UNROLL
      for (int half = 0; half < 2; ++half) {
        float largest = kNone;
        DCC_UNROLL
        for (int i = 0; i < kKeys / 4; ++i) {
          largest = fmaxf(largest, products.at(r, half, i / 2, i % 2));
        }
        largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, 2));
        largest = fmaxf(max[r][half], largest * scale);
        const float shift = largest == kNone ? 0 : largest;
        const float shrink = powerOf2(max[r][half] - shift);
        max[r][half] = largest;
        float added = 0;
        DCC_UNROLL
        for (int n = 0; n < kKeys / 8; ++n) {
          const float first = powerOf2(products.at(r, half, n, 0) * scale - shift);
          const float second = powerOf2(products.at(r, half, n, 1) * scale - shift);
          added += first + second;
          weights.of[r][n / 2].words[n % 2 * 2 + half] = packPair<T>(first, second);
        }
        sum[r][half] = sum[r][half] * shrink + added;
        DCC_UNROLL
        for (int i = 0; i < kDim / 4; ++i) values.at(r, half, i / 2, i % 2) *= shrink;
      }
    }
    return weights;
  }

  // Adds the values of these keys, rows in shared memory.
  template <int kKeys>
  __device__ void add(const Weights<kRowTiles, kKeys>& weights, const T* rows, unsigned lane) {
    const T* row = fragmentRow(rows, sharedStride(kDim), lane);
    DCC_UNROLL
    for (int step = 0; step < kKeys / 16; ++step) {
      DCC_UNROLL
      for (int n = 0; n < kDim / 16; ++n) {
        const FourMatrices m = loadTransposed(row + step * 16 * sharedStride(kDim) + n * 16);
        DCC_UNROLL
        for (int r = 0; r < kRowTiles; ++r) {
          multiplyAdd<T>(weights.of[r][step], {{m.words[0], m.words[1]}}, values.of[r][2 * n]);
          multiplyAdd<T>(weights.of[r][step], {{m.words[2], m.words[3]}}, values.of[r][2 * n + 1]);
        }
      }
    }
  }

  __device__ void addUp() {
    DCC_UNROLL
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      float& x = sum[i / 2][i % 2];
      x += __shfl_xor_sync(~0u, x, 1);
      x += __shfl_xor_sync(~0u, x, 2);
    }
  }
};

// Keys of a page that tiles take to follow each other.
inline constexpr int kTogether = 16;

inline bool evenRows(const Matrix& m, DType type) {
  return m.dtype == type && reinterpret_cast<uintptr_t>(m.data) % 16 == 0 && m.stride % 8 == 0;
}
// Whether tiles can do it: one 16-bit type, rows that begin at multiples of 16 bytes, and scores
// that grow with the products.
inline bool tilesTake(const Matrix& k, const Matrix& v, const Matrix& q, const Matrix& out,
                      const AttentionShape& shape) {
  return shape.scale > 0 && k.dtype != DType::kF32 && evenRows(k, k.dtype) &&
         evenRows(v, k.dtype) && evenRows(q, k.dtype) && evenRows(out, k.dtype);
}
inline bool tilesTake(const CacheView& cache, const Matrix& q, const Matrix& out,
                      const AttentionShape& shape) {
  return shape.scale > 0 && cache.dtype != DType::kF32 && cache.tokens_per_page % kTogether == 0 &&
         reinterpret_cast<uintptr_t>(cache.pool) % 16 == 0 && cache.bytes_per_page % 16 == 0 &&
         cache.k_offset % 16 == 0 && cache.v_offset % 16 == 0 && evenRows(q, cache.dtype) &&
         evenRows(out, cache.dtype);
}

// Calls f.run<T, k_dim, v_dim>() where there is such a kernel, of those that models have.
template <class F>
bool forTileSizes(DType type, int k_dim, int v_dim, const F& f) {
  const auto of = [&]<class T>(T) {
    if (k_dim == 64 && v_dim == 64) return f.template run<T, 64, 64>(), true;
    if (k_dim == 80 && v_dim == 80) return f.template run<T, 80, 80>(), true;
    if (k_dim == 96 && v_dim == 96) return f.template run<T, 96, 96>(), true;
    if (k_dim == 128 && v_dim == 128) return f.template run<T, 128, 128>(), true;
    if (k_dim == 192 && v_dim == 128) return f.template run<T, 192, 128>(), true;
    if (k_dim == 256 && v_dim == 256) return f.template run<T, 256, 256>(), true;
    return false;
  };
  return type == DType::kBF16 ? of(BFloat16()) : of(Float16());
}

// Of sequences that have one token, and only of them; false where tiles can't.
bool decodeByTiles(const Launch& on, const Matrix& q, const CachedKeys& keys, const StepView& step,
                   const AttentionShape& shape, const Matrix& out, std::byte* scratch);

}  // namespace dcc::cuda
