// peerAllReduceAddNorm(): see peers.h. A block has a part of a row, and the last of a row's blocks
// to come makes its norm: no block waits for another of its GPU.
#include "runtime/backends/cuda/elements.cuh"
#include "runtime/backends/cuda/exchange.cuh"
#include "runtime/backends/cuda/kernels.h"

namespace dcc::cuda {
namespace {

constexpr int kFour = 4;  // elements of a thread's words
static_assert(kFour == kWordsPerThread);
// Parts of a row at most: so many fours a thread holds when it makes the norm.
constexpr int kMostParts = 8;

// Four neighbours from `col` on of rows that begin at multiples of their size. Not from the
// processor's own cache: other blocks may have written them.
__device__ inline void readFour(const Matrix& m, int64_t row, int64_t col, float (&x)[kFour]) {
  if (m.dtype == DType::kF32) {
    const uint4 all = __ldcg(reinterpret_cast<const uint4*>(m.at(row, col)));
    const uint32_t words[kFour] = {all.x, all.y, all.z, all.w};
    DCC_UNROLL for (int i = 0; i < kFour; ++i) x[i] = __uint_as_float(words[i]);
    return;
  }
  const uint2 all = __ldcg(reinterpret_cast<const uint2*>(m.at(row, col)));
  const uint32_t words[2] = {all.x, all.y};
  DCC_UNROLL for (int i = 0; i < kFour; ++i) {
    const auto bits = static_cast<uint16_t>(words[i / 2] >> 16 * (i % 2));
    x[i] = m.dtype == DType::kBF16 ? toF32(BFloat16{bits}) : toF32(Float16{bits});
  }
}

__device__ inline void writeFour(const Matrix& m, int64_t row, int64_t col,
                                 const float (&x)[kFour]) {
  if (m.dtype == DType::kF32) {
    *reinterpret_cast<uint4*>(m.at(row, col)) = {__float_as_uint(x[0]), __float_as_uint(x[1]),
                                                 __float_as_uint(x[2]), __float_as_uint(x[3])};
    return;
  }
  uint32_t words[2] = {};
  DCC_UNROLL for (int i = 0; i < kFour; ++i) {
    const uint16_t bits =
        m.dtype == DType::kBF16 ? fromF32<BFloat16>(x[i]).bits : fromF32<Float16>(x[i]).bits;
    words[i / 2] |= uint32_t{bits} << 16 * (i % 2);
  }
  *reinterpret_cast<uint2*>(m.at(row, col)) = {words[0], words[1]};
}

struct AllReduceNorm {
  static constexpr bool kSameToAll = true;
  struct Early {
    float other[kFour];
  };
  const std::byte* in;
  AddNorm norm;
  unsigned parts;      // of a row, a block each
  uint32_t* counters;  // Launch's: one for each row

  __device__ int64_t row() const { return blockIdx.x / parts; }
  // Of the thread's own four, or of those in another part of the row, whose last may end early.
  __device__ int64_t column(unsigned part) const {
    return (int64_t{part} * blockDim.x + threadIdx.x) * kFour;
  }
  __device__ int64_t column() const { return column(blockIdx.x % parts); }
  __device__ bool isIn(int64_t column) const { return column < norm.sum.cols; }

  __device__ Early early(int64_t) const {
    Early early = {};
    if (isIn(column())) readFour(norm.other, row(), column(), early.other);
    return early;
  }
  __device__ Words wordsFor(uint32_t, int64_t) const {
    Words words = {};
    if (!isIn(column())) return words;
    return loadWords<true>(in + (row() * norm.sum.cols + column()) * sizeof(float), sizeof(Words));
  }
  __device__ void take(const Words (&all)[kMaxPeers], uint32_t ranks, int64_t,
                       const Early& early) const {
    if (!isIn(column())) return;
    const Words sum = sumOf<SumOrder::kRanks>(all, ranks);
    float x[kFour];
    DCC_UNROLL for (int i = 0; i < kFour; ++i) {
      x[i] = early.other[i] + __uint_as_float(sum.word[i]);
    }
    writeFour(norm.sum, row(), column(), x);
  }

  __device__ void finish() const {
    __shared__ bool last;
    __shared__ float partial[kMaxThreads / 32];
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
      last = atomicAdd(&counters[row()], 1u) + 1 == parts;
      if (last) counters[row()] = 0;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();

    float x[kMostParts][kFour], squares = 0;
    DCC_UNROLL for (unsigned p = 0; p < kMostParts; ++p) {
      if (isIn(column(p))) readFour(norm.sum, row(), column(p), x[p]);
    }
    DCC_UNROLL for (unsigned p = 0; p < kMostParts; ++p) {
      DCC_UNROLL for (int i = 0; i < kFour; ++i) squares += isIn(column(p)) ? x[p][i] * x[p][i] : 0;
    }
    DCC_UNROLL for (int bits = 16; bits > 0; bits /= 2) {
      squares += __shfl_xor_sync(~0u, squares, bits);
    }
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = squares;
    __syncthreads();
    float all = 0;
    for (unsigned w = 0; w < blockDim.x / 32; ++w) all += partial[w];
    const float factor = rsqrtf(all / static_cast<float>(norm.sum.cols) + norm.eps);
    DCC_UNROLL for (unsigned p = 0; p < kMostParts; ++p) {
      const int64_t col = column(p);
      if (!isIn(col)) continue;
      float weight[kFour];
      DCC_UNROLL for (int i = 0; i < kFour; ++i) weight[i] = norm.weight[col + i];
      DCC_UNROLL for (int i = 0; i < kFour; ++i) x[p][i] *= factor * weight[i];
      writeFour(norm.out, row(), col, x[p]);
    }
  }
};

// Of rows of so many columns: few threads to a block, so that many blocks share a row.
struct Cut {
  unsigned threads, parts;
};
Cut cutOf(int64_t cols) {
  const int64_t warp = 32 * kFour, warps = (cols + warp * kMostParts - 1) / (warp * kMostParts);
  return {static_cast<unsigned>(32 * warps),
          static_cast<unsigned>((cols + warp * warps - 1) / (warp * warps))};
}

}  // namespace

bool peerNormFits(const PeerGroup& group, int64_t rows, int64_t cols) {
  if (rows <= 0 || rows > kCounters || cols <= 0 || cols % kFour != 0 || cols > kNormColumns) {
    return false;
  }
  const Cut cut = cutOf(cols);
  return cut.threads <= std::min<int64_t>(group.threads, kMaxThreads) &&
         rows * cut.parts <= group.blocks;
}

void peerAllReduceAddNorm(const Launch& on, const PeerGroup& group, const float* in,
                          const AddNorm& norm) {
  const Cut cut = cutOf(norm.sum.cols);
  const auto blocks = static_cast<unsigned>(norm.sum.rows) * cut.parts;
  // One exchange of each block.
  const int64_t longest = int64_t{blocks} * cut.threads * static_cast<int64_t>(sizeof(Words));
  launchExchange(
      on, group,
      AllReduceNorm{reinterpret_cast<const std::byte*>(in), norm, cut.parts, on.counters}, longest,
      blocks, cut.threads);
}

}  // namespace dcc::cuda
