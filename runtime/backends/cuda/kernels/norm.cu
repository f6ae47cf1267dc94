// Norms: the threads along x of a block hold a row, or head_dim columns of one, in registers, so
// that it is read once. Up to a warp's width several heads share a block, along y.
#include <algorithm>
#include <bit>

#include "runtime/backends/cuda/eights.cuh"
#include "runtime/backends/cuda/kernels.h"

namespace dcc::cuda {
namespace {

constexpr int kThreads = 512;  // at most, along x

struct Norm {
  Matrix x, out;
  Matrix y = {}, sum = {};        // of addRmsNorm
  const float* weight = nullptr;  // null: ones
  const float* bias = nullptr;    // null: zeros
  // Of weight and bias, from one head's to the next one's.
  int64_t weight_stride = 0;
  int64_t head_dim = 0;
  float eps = 0;
  float share = 0;  // of a column in a mean: 1 / head_dim
};

enum class Kind { kRms, kAddRms, kLayer };

// The sum over the threads along x, in an order that depends on nothing but their number. kBlock:
// they are a whole block, of some warps; else a power of two within one. `partial` is used once.
template <bool kBlock>
__device__ float sumAlongX(float v, float* partial) {
  if constexpr (!kBlock) {
    for (unsigned bits = blockDim.x / 2; bits > 0; bits /= 2) v += __shfl_xor_sync(~0u, v, bits);
    return v;
  } else {
    DCC_UNROLL for (int bits = 16; bits > 0; bits /= 2) v += __shfl_xor_sync(~0u, v, bits);
    const unsigned lane = threadIdx.x % 32;
    if (lane == 0) partial[threadIdx.x / 32] = v;
    __syncthreads();
    v = lane < blockDim.x / 32 ? partial[lane] : 0;
    DCC_UNROLL for (int bits = 16; bits > 0; bits /= 2) v += __shfl_xor_sync(~0u, v, bits);
    return v;
  }
}

// The sum of (x - mean)^2 over the head's columns; `n`: how many there are of each eight.
template <bool kBlock, int kEights>
__device__ float sumOfSquares(const float (&x)[kEights][kEight], float mean, int n,
                              float* partial) {
  float sum = 0;
  DCC_UNROLL for (int e = 0; e < kEights; ++e) {
    DCC_UNROLL for (int i = 0; i < kEight; ++i) {
      const float from = x[e][i] - mean;
      sum += e * static_cast<int>(blockDim.x) * kEight + i < n ? from * from : 0;
    }
  }
  return sumAlongX<kBlock>(sum, partial);
}

// Eight columns of this thread: from `col` of the row on, of which there are n; x, and where y is
// given their sum as others read it.
template <Kind kKind>
__device__ void held(const Norm& norm, int64_t row, int64_t col, int n, const Eight& left,
                     const Eight& right, float (&x)[kEight]) {
  toF32(left, norm.x.dtype, x);
  if constexpr (kKind == Kind::kAddRms) {
    float y[kEight];
    toF32(right, norm.y.dtype, y);
    DCC_UNROLL for (int i = 0; i < kEight; ++i) x[i] += y[i];
    const Eight sum = fromF32(x, norm.sum.dtype);
    writeEight(norm.sum, row, col, n, sum);
    toF32(sum, norm.sum.dtype, x);
  }
}

template <Kind kKind, bool kBlock, int kEights, class Types>
__global__ void __launch_bounds__(kThreads) normKernel(Norm norm) {
  Types::fix(norm.x, norm.y, norm.sum, norm.out);
  __shared__ float partial[2][kThreads / 32];
  const int64_t row = blockIdx.x;
  const int64_t head = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y;
  const int first = static_cast<int>(threadIdx.x) * kEight;
  const int step = static_cast<int>(blockDim.x) * kEight;
  // Columns from this thread's first eight to the head's end.
  const int n = head * norm.head_dim < norm.x.cols ? static_cast<int>(norm.head_dim) - first : 0;
  const int64_t col = head * norm.head_dim + first;
  const auto parameter = [&](const float* all, int e) {
    const float* of_head = all + head * norm.weight_stride + first + e * step;
    return readEight(reinterpret_cast<const std::byte*>(of_head), DType::kF32, n - e * step);
  };
  const bool weighted = norm.weight != nullptr;
  const bool biased = kKind == Kind::kLayer && norm.bias != nullptr;
  // They are no other kernel's output. While there is room for them they come early.
  constexpr bool kEarly = kEights <= 2;
  Eight weight[kEights], bias[kEights];
  if (kEarly) {
    DCC_UNROLL for (int e = 0; e < kEights; ++e) {
      if (weighted) weight[e] = parameter(norm.weight, e);
      if (biased) bias[e] = parameter(norm.bias, e);
    }
  }
  waitForInputs();

  // As many under way at once as there are registers for.
  constexpr int kAtOnce = kEights <= 4 ? kEights : 2;
  float x[kEights][kEight];
  DCC_UNROLL for (int from = 0; from < kEights; from += kAtOnce) {
    Eight left[kAtOnce], right[kAtOnce];
    DCC_UNROLL for (int i = 0; i < kAtOnce; ++i) {
      const int by = (from + i) * step;
      left[i] = readEight(norm.x, row, col + by, n - by);
      if (kKind == Kind::kAddRms) right[i] = readEight(norm.y, row, col + by, n - by);
    }
    DCC_UNROLL for (int i = 0; i < kAtOnce; ++i) {
      const int by = (from + i) * step;
      held<kKind>(norm, row, col + by, n - by, left[i], right[i], x[from + i]);
    }
  }

  float mean = 0;
  if (kKind == Kind::kLayer) {
    float sum = 0;  // columns that there are not are zeros
    DCC_UNROLL for (int e = 0; e < kEights; ++e) {
      DCC_UNROLL for (int i = 0; i < kEight; ++i) sum += x[e][i];
    }
    mean = sumAlongX<kBlock>(sum, partial[0]) * norm.share;
  }
  const float squares = sumOfSquares<kBlock>(x, mean, n, partial[1]);
  const float factor = rsqrtf(squares * norm.share + norm.eps);

  DCC_UNROLL for (int e = 0; e < kEights; ++e) {
    DCC_UNROLL for (int i = 0; i < kEight; ++i) x[e][i] = (x[e][i] - mean) * factor;
    if (weighted) {
      float w[kEight];
      toF32(kEarly ? weight[e] : parameter(norm.weight, e), DType::kF32, w);
      DCC_UNROLL for (int i = 0; i < kEight; ++i) x[e][i] *= w[i];
    }
    if (biased) {
      float b[kEight];
      toF32(kEarly ? bias[e] : parameter(norm.bias, e), DType::kF32, b);
      DCC_UNROLL for (int i = 0; i < kEight; ++i) x[e][i] += b[i];
    }
    writeEight(norm.out, row, col + e * step, n - e * step, fromF32(x[e], norm.out.dtype));
  }
}

template <Kind kKind, class Types>
void runTyped(const Launch& on, const Norm& norm) {
  const auto eights = static_cast<unsigned>((norm.head_dim + kEight - 1) / kEight);
  const auto heads = static_cast<unsigned>(norm.x.cols / norm.head_dim);
  const auto rows = static_cast<unsigned>(norm.x.rows);
  if (eights <= 32) {
    // Whole warps, of one or more heads.
    const unsigned x = std::bit_ceil(eights);
    const unsigned y = std::clamp(std::bit_ceil(heads), 32 / x, 256 / x);
    launch(on, normKernel<kKind, false, 1, Types>, dim3(rows, (heads + y - 1) / y), dim3(x, y), 0,
           norm);
    return;
  }
  const auto launchBlocks = [&](auto kernel, unsigned per_thread) {
    const unsigned threads = ((eights + per_thread - 1) / per_thread + 31) / 32 * 32;
    launch(on, kernel, dim3(rows, heads), dim3(threads), 0, norm);
  };
  if (eights <= kThreads) {
    launchBlocks(normKernel<kKind, true, 1, Types>, 1);
  } else if (eights <= 2 * kThreads) {
    launchBlocks(normKernel<kKind, true, 2, Types>, 2);
  } else if (eights <= 4 * kThreads) {
    launchBlocks(normKernel<kKind, true, 4, AnyTypes>, 4);
  } else {
    launchBlocks(normKernel<kKind, true, 8, AnyTypes>, 8);
  }
}
static_assert(8 * kThreads * kEight == kNormColumns);

template <Kind kKind>
void run(const Launch& on, Norm norm) {
  if (norm.x.rows == 0 || norm.x.cols == 0) return;
  norm.share = 1 / static_cast<float>(norm.head_dim);
  const bool adds = kKind == Kind::kAddRms;
  withTypes([&](auto types) { runTyped<kKind, decltype(types)>(on, norm); }, norm.x,
            adds ? norm.y : norm.x, adds ? norm.sum : norm.x, norm.out);
}

}  // namespace

void rmsNorm(const Launch& on, const Matrix& x, const float* weight, float eps, int64_t head_dim,
             const Matrix& out) {
  run<Kind::kRms>(on, {.x = x, .out = out, .weight = weight, .head_dim = head_dim, .eps = eps});
}

void addRmsNorm(const Launch& on, const Matrix& x, const Matrix& y, const float* weight, float eps,
                const Matrix& sum, const Matrix& out) {
  run<Kind::kAddRms>(
      on,
      {.x = x, .out = out, .y = y, .sum = sum, .weight = weight, .head_dim = x.cols, .eps = eps});
}

void unitNorm(const Launch& on, const Matrix& x, float eps, int64_t head_dim, const Matrix& out) {
  rmsNorm(on, x, nullptr, eps, head_dim, out);
}

void layerNorm(const Launch& on, const Matrix& x, const float* weight, const float* bias, float eps,
               int64_t head_dim, const Matrix& out) {
  run<Kind::kLayer>(on, {.x = x,
                         .out = out,
                         .weight = weight,
                         .bias = bias,
                         .weight_stride = head_dim,
                         .head_dim = head_dim,
                         .eps = eps});
}

}  // namespace dcc::cuda
