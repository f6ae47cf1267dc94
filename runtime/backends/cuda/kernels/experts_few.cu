// experts for few rows: bound by the weights of the experts that are asked for. Two launches and
// no lists: a block finds out for itself who asks for whom.
#include "runtime/backends/cuda/experts.cuh"
#include "runtime/backends/cuda/row_stream.cuh"

namespace dcc::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

// A launch's operands. The live experts, which some row asks for, are numbered in their order.
struct FewRows {
  Matrix x, gates;
  Experts weights;
  int32_t most;   // live experts, at most
  Matrix hidden;  // [most * rows, width]: of live expert i from row i * rows on
  Matrix out;
};

// Of each expert the rows that ask for it, a bit each, in shared memory. By all of the block.
__device__ void findAskers(const Matrix& gates, uint8_t* askers) {
  const auto experts = static_cast<int>(gates.cols);
  for (int e = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x); e < experts;
       e += kThreads) {
    unsigned rows = 0;
    for (int r = 0; r < static_cast<int>(gates.rows); ++r) {
      rows |= f32Row(gates, r)[e] != 0 ? 1u << r : 0;
    }
    askers[e] = static_cast<uint8_t>(rows);
  }
  __syncthreads();
}

// Calls body(number, expert) for live experts first, first + step, ..., below `most`, while it
// returns true. By all lanes of a warp.
template <class Body>
__device__ void forLiveExperts(const uint8_t* askers, int experts, int first, int step, int most,
                               Body body) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  int before = 0, next = first;
  for (int from = 0; from < experts && next < most; from += 32) {
    unsigned live = __ballot_sync(~0u, from + lane < experts && askers[from + lane] != 0);
    for (; live != 0; live &= live - 1, ++before) {
      if (before != next || next >= most) continue;
      if (!body(next, from + __ffs(static_cast<int>(live)) - 1)) return;
      next += step;
    }
  }
}

// hidden of live expert blockIdx.y. R weight rows a tile: R / 2 columns' gate, then their up.
template <class W, class A, int M>
__global__ void __launch_bounds__(kThreads, M == 1 && sizeof(A) == sizeof(W) ? 3 : 2)
    hiddenKernel(FewRows p) {
  constexpr int R = 2;
  __shared__ float partial[kWarps][M * R];
  auto* const askers = dynamicShared<uint8_t>();
  waitForInputs();
  findAskers(p.gates, askers);
  const int number = static_cast<int>(blockIdx.y);
  int expert = -1;
  forLiveExperts(askers, static_cast<int>(p.gates.cols), number, 1, p.most, [&](int, int e) {
    expert = e;
    return false;
  });
  if (expert < 0) return;

  const int64_t tile = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  const int64_t row = expert * p.hidden.cols + min(tile, p.hidden.cols - 1);
  RowStream<W, R, M == 1 ? 3 : 4> stream;
  stream.rows[0] = reinterpret_cast<const W*>(p.weights.gate.data) + row * p.weights.gate.stride;
  stream.rows[1] = reinterpret_cast<const W*>(p.weights.up.data) + row * p.weights.up.stride;
  stream.k = static_cast<int>(p.x.cols);
  stream.at = static_cast<int>(threadIdx.x) * kPerVector<W>;
  stream.step = static_cast<int>(blockDim.x) * kPerVector<W>;
  stream.begin();
  const unsigned rows = askers[expert];
  const A* const x = reinterpret_cast<const A*>(p.x.data);
  float sums[M * R] = {};
  const auto inputRow = [&](int m) { return x + m * p.x.stride; };
  if constexpr (M == 1) {
    multiplyStream<A, M>(stream, inputRow, sums);
  } else {
    multiplyStream<A, M>(stream, inputRow, rows, sums);
  }

  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  const float sum = warpSums(sums);
  if (thread % 32 < M * R) partial[thread / 32][thread % 32] = sum;
  __syncthreads();
  const int m = thread % M, own = thread / M, warps = static_cast<int>(blockDim.x) / 32;
  const int64_t col = int64_t{blockIdx.x} * blockDim.y + own;
  if (own >= static_cast<int>(blockDim.y) || col >= p.hidden.cols || (rows >> m & 1) == 0) return;
  float gate = 0, up = 0;
  for (int i = own * warps; i < (own + 1) * warps; ++i) {
    gate += partial[i][m * R];
    up += partial[i][m * R + 1];
  }
  store(p.hidden, number * p.out.rows + m, col,
        gatedValue(p.weights, expert, col, f32Row(p.gates, m)[expert], gate, up));
}

// Columns of out that a block makes: as many as have their sums in registers.
constexpr int outColumns(int m) { return m <= 2 ? 4 : 2; }

// R columns of out. Each warp multiplies for some of the live experts; their results are added in
// the experts' order.
template <class W, class A, int M>
__global__ void __launch_bounds__(kThreads, 2) outKernel(FewRows p) {
  constexpr int R = outColumns(M), kDepth = M == 2 ? 2 : 3;
  auto* const results = dynamicShared<float>();  // [most, M * R]
  auto* const askers = reinterpret_cast<uint8_t*>(results + p.most * M * R);
  waitForInputs();
  findAskers(p.gates, askers);
  const int experts = static_cast<int>(p.gates.cols), lane = static_cast<int>(threadIdx.x % 32);
  const int64_t col0 = int64_t{blockIdx.x} * R;
  const auto* const down = reinterpret_cast<const W*>(p.weights.down.data);
  const auto* const hidden = reinterpret_cast<const A*>(p.hidden.data);
  const auto multiplyExpert = [&](int number, int expert) {
    RowStream<W, R, kDepth> stream;
    DCC_UNROLL
    for (int j = 0; j < R; ++j) {
      const int64_t row = expert * p.out.cols + min(col0 + j, p.out.cols - 1);
      stream.rows[j] = down + row * p.weights.down.stride;
    }
    stream.k = static_cast<int>(p.hidden.cols);
    stream.at = lane * kPerVector<W>;
    stream.step = 32 * kPerVector<W>;
    stream.begin();
    float sums[M * R] = {};
    const auto inputRow = [&](int m) {
      return hidden + (number * p.out.rows + m) * p.hidden.stride;
    };
    multiplyStream<A, M>(stream, inputRow, askers[expert], sums);
    const float sum = warpSums(sums);
    if (lane < M * R) results[number * M * R + lane] = sum;
    return true;
  };
  forLiveExperts(askers, experts, static_cast<int>(threadIdx.x / 32), kWarps, p.most,
                 multiplyExpert);
  __syncthreads();
  const int m = static_cast<int>(threadIdx.x) / R, j = static_cast<int>(threadIdx.x) % R;
  // Whole warps go on, for they count together.
  if (threadIdx.x >= (M * R + 31) / 32 * 32) return;
  const bool mine = m < static_cast<int>(p.out.rows) && col0 + j < p.out.cols;
  float sum = 0;
  forLiveExperts(askers, experts, 0, 1, p.most, [&](int number, int expert) {
    if (mine && (askers[expert] >> m & 1) != 0) {
      const float result = results[number * M * R + m * R + j];
      sum += p.weights.scaled_inputs ? result : f32Row(p.gates, m)[expert] * result;
    }
    return true;
  });
  if (mine) store(p.out, m, col0 + j, sum);
}

unsigned blocksOf(int64_t n, int64_t per) { return static_cast<unsigned>((n + per - 1) / per); }

template <class W, class A, int M>
void launchHidden(const Launch& on, const FewRows& p) {
  const int64_t vectors = p.x.cols / kPerVector<W>;
  unsigned warps = 1;
  while (warps < kWarps && int64_t{warps} * 32 * (M == 1 ? 3 : 4) < vectors) warps *= 2;
  const unsigned tiles = kWarps / warps;
  launch(on, hiddenKernel<W, A, M>,
         dim3(blocksOf(p.hidden.cols, tiles), static_cast<unsigned>(p.most)),
         dim3(32 * warps, tiles), static_cast<size_t>(p.gates.cols), p);
}

template <class W, class A, int M>
void launchOut(const Launch& on, const FewRows& p) {
  constexpr int R = outColumns(M);
  const size_t shared =
      static_cast<size_t>(p.most) * M * R * sizeof(float) + static_cast<size_t>(p.gates.cols);
  launch(on, outKernel<W, A, M>, dim3(blocksOf(p.out.cols, R)), dim3(kThreads), shared, p);
}

// Calls body.operator()<W, A, M>() for the types and up to M rows.
template <class W, class A, class Body>
void byRows(int64_t rows, Body body) {
  if (rows == 1) return body.template operator()<W, A, 1>();
  if (rows == 2) return body.template operator()<W, A, 2>();
  if (rows <= 4) return body.template operator()<W, A, 4>();
  return body.template operator()<W, A, 8>();
}
template <class Body>
void byTypes(DType weight, DType input, int64_t rows, Body body) {
  if (weight == DType::kF32) return byRows<float, float>(rows, body);
  if (weight == DType::kBF16 && input == DType::kF32) return byRows<BFloat16, float>(rows, body);
  if (weight == DType::kBF16) return byRows<BFloat16, BFloat16>(rows, body);
  if (input == DType::kF32) return byRows<Float16, float>(rows, body);
  return byRows<Float16, Float16>(rows, body);
}

// Types that byTypes() tells apart, in whole vectors.
bool multiplies(DType input, const WeightView& weight) {
  return (input == weight.dtype || input == DType::kF32) && inVectors(weight) &&
         weight.cols % static_cast<int64_t>(16 / byteSize(weight.dtype)) == 0;
}

}  // namespace

bool expertsOfFewRows(const Launch& on, const Matrix& x, const Matrix& gates,
                      const Experts& weights, const Matrix& hidden, const Matrix& out) {
  // Whose results and askers fit into shared memory.
  constexpr int64_t kMostLive = 512, kMostExperts = 1024;
  const bool takes = out.rows <= kGemvRows && hidden.rows / out.rows <= kMostLive &&
                     gates.cols <= kMostExperts && inVectors(x) &&
                     weights.gate.dtype == weights.up.dtype && inVectors(weights.up) &&
                     multiplies(x.dtype, weights.gate) && inVectors(hidden) &&
                     multiplies(hidden.dtype, weights.down);
  if (!takes) return false;
  const FewRows p{x, gates, weights, static_cast<int32_t>(hidden.rows / out.rows), hidden, out};
  byTypes(weights.gate.dtype, x.dtype, out.rows,
          [&]<class W, class A, int M>() { launchHidden<W, A, M>(on, p); });
  byTypes(weights.down.dtype, hidden.dtype, out.rows,
          [&]<class W, class A, int M>() { launchOut<W, A, M>(on, p); });
  return true;
}

}  // namespace dcc::cuda
