// Products of few rows. The first loads of weights leave before the kernel waits for its inputs.
// The warps that share rows add their partial sums in the warps' order: the result is the same
// every time.
#include <algorithm>
#include <type_traits>

#include "runtime/backends/cuda/gemv.cuh"
#include "runtime/backends/cuda/row_stream.cuh"

namespace dcc::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

// Vectors of a weight row that a thread has under way: as many as registers allow.
constexpr int depth(int m, int r) { return (m == 1 || m == 8 ? 6 : 8) / r; }

// Weights W, activations A, up to M rows of them, R weight rows a tile. blockDim: (32 * warps that
// share a tile, tiles of the block).
template <class W, class A, int M, int R, bool kGated>
__global__ void __launch_bounds__(kThreads, M == 1 && sizeof(A) == sizeof(W) ? 3 : 2)
    vectorKernel(FewRowsProduct p) {
  constexpr int kCols = kGated ? R / 2 : R;
  __shared__ float partial[kWarps][M * R];

  const int64_t tile = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  RowStream<W, R, depth(M, R)> stream;
  DCC_UNROLL
  for (int j = 0; j < R; ++j) {
    stream.rows[j] = productRow<W>(p, tile * kCols + j % kCols, j >= kCols);
  }
  stream.k = static_cast<int>(p.weight.cols);
  stream.at = static_cast<int>(threadIdx.x) * kPerVector<W>;
  stream.step = static_cast<int>(blockDim.x) * kPerVector<W>;
  stream.begin();
  waitForInputs();

  const A* const a = reinterpret_cast<const A*>(p.a.data);
  const int last_row = static_cast<int>(p.a.rows) - 1;
  float sums[M * R] = {};
  multiplyStream<A, M>(
      stream, [&](int m) { return a + min(m, last_row) * p.a.stride; }, sums);

  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  const float sum = warpSums(sums);
  if (thread % 32 < M * R) partial[thread / 32][thread % 32] = sum;
  __syncthreads();
  const int warps = static_cast<int>(blockDim.x) / 32;
  if (thread >= M * kCols * static_cast<int>(blockDim.y)) return;
  const int j = thread % kCols, m = thread / kCols % M, own = thread / (kCols * M);
  const int64_t col = (int64_t{blockIdx.x} * blockDim.y + own) * kCols + j;
  if (m >= p.out.rows) return;
  float x = 0, up = 0;
  for (int i = own * warps; i < (own + 1) * warps; ++i) {
    x += partial[i][m * R + j];
    if constexpr (kGated) up += partial[i][m * R + kCols + j];
  }
  storeProduct<kGated>(p, m, col, x, up);
}

// Any types, sizes and alignments: a warp for each column of out.
template <bool kGated>
__global__ void __launch_bounds__(kThreads) elementKernel(FewRowsProduct p) {
  waitForInputs();
  constexpr int kRows = static_cast<int>(kGemvRows);
  const int64_t col = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (col >= p.out.cols) return;
  float sums[2][kRows] = {};
  for (int64_t i = threadIdx.x % 32; i < p.weight.cols; i += 32) {
    const float w = load(p.weight.row(col), p.weight.dtype, i);
    const float up = kGated ? load(p.weight.row(p.out.cols + col), p.weight.dtype, i) : 0;
    DCC_UNROLL
    for (int m = 0; m < kRows; ++m) {
      if (m >= p.a.rows) break;
      const float a = load(p.a, m, i);
      sums[0][m] += a * w;
      if (kGated) sums[1][m] += a * up;
    }
  }
  const float x = warpSums(sums[0]), up = kGated ? warpSums(sums[1]) : 0;
  const int m = static_cast<int>(threadIdx.x % 32);
  if (m < p.out.rows) storeProduct<kGated>(p, m, col, x, up);
}

template <class W, class A, int M, bool kGated>
void launchVectors(const Launch& on, const FewRowsProduct& p) {
  // Rows of the weight for which activations are read once; fewer where their sums take registers.
  constexpr int R = M == 2 ? 4 : 2;
  constexpr int kCols = kGated ? R / 2 : R;
  // As many warps share a tile as have something under way at once.
  const int64_t vectors = p.weight.cols / kPerVector<W>;
  unsigned warps = 1;
  while (warps < kWarps && int64_t{warps} * 32 * depth(M, R) < vectors) warps *= 2;
  const unsigned tiles = kWarps / warps;
  const int64_t blocks = (p.out.cols + kCols * tiles - 1) / (kCols * tiles);
  launch(on, vectorKernel<W, A, M, R, kGated>, dim3(static_cast<unsigned>(blocks)),
         dim3(32 * warps, tiles), 0, p);
}

template <class W, class A, bool kGated>
void byRows(const Launch& on, const FewRowsProduct& p) {
  if (p.a.rows == 1) return launchVectors<W, A, 1, kGated>(on, p);
  if (p.a.rows == 2) return launchVectors<W, A, 2, kGated>(on, p);
  if constexpr (std::is_same_v<W, A> && sizeof(W) == 2) {
    tensorGemv(on, p, kGated);
  } else {
    if (p.a.rows <= 4) return launchVectors<W, A, 4, kGated>(on, p);
    launchVectors<W, A, 8, kGated>(on, p);
  }
}

template <bool kGated>
void multiply(const Launch& on, const FewRowsProduct& p) {
  if (p.a.rows == 0 || p.out.cols == 0) return;
  const DType a = p.a.dtype, w = p.weight.dtype;
  // Strides and sizes so that no vector leaves a row.
  const bool vectors = inVectors(p.a) && inVectors(p.weight) &&
                       p.weight.cols % static_cast<int64_t>(16 / byteSize(w)) == 0;
  if (vectors && a == DType::kF32 && w == DType::kF32) return byRows<float, float, kGated>(on, p);
  if (vectors && a == DType::kF32 && w == DType::kBF16) {
    return byRows<BFloat16, float, kGated>(on, p);
  }
  if (vectors && a == DType::kF32 && w == DType::kF16) {
    return byRows<Float16, float, kGated>(on, p);
  }
  if (vectors && a == DType::kBF16 && w == DType::kBF16) {
    return byRows<BFloat16, BFloat16, kGated>(on, p);
  }
  if (vectors && a == DType::kF16 && w == DType::kF16) {
    return byRows<Float16, Float16, kGated>(on, p);
  }
  launch(on, elementKernel<kGated>, dim3(static_cast<unsigned>((p.out.cols + kWarps - 1) / kWarps)),
         dim3(kThreads), 0, p);
}

}  // namespace

void gemv(const Launch& on, const Matrix& a, const WeightView& weight, const float* bias,
          const Matrix& out) {
  multiply<false>(on, {a, weight, bias, {}, out});
}

void gatedGemv(const Launch& on, const Matrix& a, const WeightView& gate_up,
               plan::Function function, const Matrix& out) {
  multiply<true>(on, {a, gate_up, nullptr, function, out});
}

}  // namespace dcc::cuda
