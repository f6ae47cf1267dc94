// Products of few rows on tensor cores: with some rows, ordinary arithmetic would take longer than
// the weights' way from memory. bf16 by bf16 and f16 by f16.
//
// A warp multiplies 8 weight rows by up to 8 input rows, 16 of k at a time. In which order k runs
// does not matter as long as it is the same on both sides, so that a lane keeps what it has read 16
// bytes at a time: of a row's 32 elements lane l has 8 from 8 (l % 4) on, of which the fragments of
// two products take 4 each.
#include "runtime/backends/cuda/gemv.cuh"
#include "runtime/backends/cuda/mma.cuh"

namespace dcc::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kEight = 8;  // weight rows, and input rows, of one product

// Vectors of a weight row, and of an input, that a lane has under way: as many as registers allow.
constexpr int depth(int r) { return r == 1 ? 4 : r == 2 ? 3 : 2; }

// R times 8 weight rows a tile. blockDim: (32 * warps that share a tile, tiles of the block).
template <class T, int R, bool kGated>
__global__ void __launch_bounds__(kThreads, 2) tensorKernel(FewRowsProduct p) {
  constexpr int kDepth = depth(R);
  constexpr int kCols = (kGated ? R / 2 : R) * kEight;      // of out, a tile
  __shared__ float partial[kWarps][R][kEight][kEight + 1];  // [input row, weight row]

  const int lane = static_cast<int>(threadIdx.x % 32), g = lane / 4, t = lane % 4;
  const int k = static_cast<int>(p.weight.cols), step = static_cast<int>(blockDim.x);
  const int64_t tile = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  const T* rows[R];
  DCC_UNROLL
  for (int j = 0; j < R; ++j) {
    const int first = (kGated ? j % (R / 2) : j) * kEight;
    rows[j] = productRow<T>(p, tile * kCols + first + g, kGated && j >= R / 2);
  }
  const int first = static_cast<int>(threadIdx.x) / 32 * 32 + t * 8;  // in k, this lane's
  Bytes16 weights[kDepth][R], inputs[kDepth] = {};
  DCC_UNROLL
  for (int u = 0; u < kDepth; ++u) {
    DCC_UNROLL
    for (int j = 0; j < R; ++j) {
      weights[u][j] = {};
      if (first + u * step < k) weights[u][j] = loadOnce(rows[j] + first + u * step);
    }
  }
  waitForInputs();

  const bool live = g < static_cast<int>(p.a.rows);
  const T* const input = reinterpret_cast<const T*>(p.a.data) + (live ? g : 0) * p.a.stride;
  DCC_UNROLL
  for (int u = 0; u < kDepth; ++u) {
    if (live && first + u * step < k) inputs[u] = loadVector(input + first + u * step);
  }
  FragmentC sums[R] = {};
  // Lanes of a warp go on together, also those that are behind the end of k.
  for (int from = first - t * 8; from < k;) {
    DCC_UNROLL
    for (int u = 0; u < kDepth && from < k; ++u, from += step) {
      const int next = from + t * 8 + kDepth * step;
      const Bytes16 x = inputs[u];
      inputs[u] = {};
      if (live && next < k) inputs[u] = loadVector(input + next);
      DCC_UNROLL
      for (int j = 0; j < R; ++j) {
        const Bytes16 w = weights[u][j];
        weights[u][j] = {};
        if (next < k) weights[u][j] = loadOnce(rows[j] + next);
        multiplyAdd<T>({{x.words[0], 0, x.words[1], 0}}, {{w.words[0], w.words[1]}}, sums[j]);
        multiplyAdd<T>({{x.words[2], 0, x.words[3], 0}}, {{w.words[2], w.words[3]}}, sums[j]);
      }
    }
  }

  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  DCC_UNROLL
  for (int j = 0; j < R; ++j) {
    partial[thread / 32][j][g][2 * t] = sums[j].values[0];
    partial[thread / 32][j][g][2 * t + 1] = sums[j].values[1];
  }
  __syncthreads();
  const int warps = static_cast<int>(blockDim.x) / 32, n_rows = static_cast<int>(p.out.rows);
  const int outputs = n_rows * kCols * static_cast<int>(blockDim.y);
  for (int i = thread; i < outputs; i += kThreads) {
    const int c = i % kCols, m = i / kCols % n_rows, own = i / (kCols * n_rows);
    float x = 0, up = 0;
    for (int w = own * warps; w < (own + 1) * warps; ++w) {
      x += partial[w][c / kEight][m][c % kEight];
      if constexpr (kGated) up += partial[w][R / 2 + c / kEight][m][c % kEight];
    }
    storeProduct<kGated>(p, m, (int64_t{blockIdx.x} * blockDim.y + own) * kCols + c, x, up);
  }
}

template <class T, int R, bool kGated>
void launchTensors(const Launch& on, const FewRowsProduct& p) {
  constexpr int kCols = (kGated ? R / 2 : R) * kEight;
  // As many warps share a tile as have something under way at once.
  unsigned warps = 1;
  while (warps < kWarps && int64_t{warps} * 32 * depth(R) < p.weight.cols) warps *= 2;
  const unsigned tiles = kWarps / warps;
  const int64_t blocks = (p.out.cols + kCols * tiles - 1) / (kCols * tiles);
  launch(on, tensorKernel<T, R, kGated>, dim3(static_cast<unsigned>(blocks)),
         dim3(32 * warps, tiles), 0, p);
}

// The larger a tile, the less often inputs are read; but every processor shall have some.
template <class T, bool kGated>
void byTile(const Launch& on, const FewRowsProduct& p) {
  int device = 0, processors = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  const int64_t eights = p.weight.rows / kEight;
  if (eights >= int64_t{16} * processors) return launchTensors<T, 4, kGated>(on, p);
  if (kGated || eights >= int64_t{2} * processors) return launchTensors<T, 2, kGated>(on, p);
  if constexpr (!kGated) launchTensors<T, 1, kGated>(on, p);
}

}  // namespace

void tensorGemv(const Launch& on, const FewRowsProduct& p, bool gated) {
  if (p.a.dtype == DType::kBF16) {
    gated ? byTile<BFloat16, true>(on, p) : byTile<BFloat16, false>(on, p);
  } else {
    gated ? byTile<Float16, true>(on, p) : byTile<Float16, false>(on, p);
  }
}

}  // namespace dcc::cuda
