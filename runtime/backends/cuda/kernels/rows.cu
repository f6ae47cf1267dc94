// Rows and columns, moved as they are.
#include <algorithm>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/kernels/gather.cuh"

namespace dcc::cuda {
namespace {

struct SameRow {
  __device__ int64_t operator()(int64_t row) const { return row; }
};
// -1 of a sequence without tokens.
struct FirstRow {
  const int32_t* starts;
  __device__ int64_t operator()(int64_t b) const {
    return starts[b] < starts[b + 1] ? starts[b] : -1;
  }
};
struct LastRow {
  const int32_t* starts;
  __device__ int64_t operator()(int64_t b) const {
    return starts[b] < starts[b + 1] ? starts[b + 1] - 1 : -1;
  }
};

// Columns that all heads of an output get: those from `first` on of x's heads, which lie
// `head_stride` columns apart (0: the same for every head), at column `to` of the output's head.
struct HeadColumns {
  Matrix x;
  int64_t head_stride = 0, first = 0;
  int64_t to = 0, size = 0;

  __host__ __device__ int64_t eights() const { return (size + kEight - 1) / kEight; }
  __device__ void copy(int64_t row, int64_t head, int64_t eight, const Matrix& out,
                       int64_t out_dim) const {
    const int64_t col = eight * kEight, n = size - col;
    const Eight e = readEight(x, row, head * head_stride + first + col, n);
    writeEight(out, row, head * out_dim + to + col, n, converted(e, x.dtype, out.dtype));
  }
};

// A block has a row's heads along y, and along x the eights of both parts of a head.
__global__ void headsKernel(HeadColumns a, HeadColumns b, Matrix out, int64_t out_dim) {
  waitForInputs();
  const int64_t row = blockIdx.x;
  const int64_t head = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y;
  if (head * out_dim >= out.cols) return;
  const int64_t eights = a.eights() + b.eights();
  for (int64_t i = threadIdx.x; i < eights; i += blockDim.x) {
    if (i < a.eights()) {
      a.copy(row, head, i, out, out_dim);
    } else {
      b.copy(row, head, i - a.eights(), out, out_dim);
    }
  }
}

void copyHeads(const Launch& on, const HeadColumns& a, const HeadColumns& b, const Matrix& out) {
  constexpr int64_t kThreads = 128;
  const int64_t dim = a.size + b.size, heads = out.cols / dim;
  if (out.rows == 0 || heads == 0) return;
  const int64_t x = std::min(kThreads, a.eights() + b.eights()), y = std::min(heads, kThreads / x);
  const dim3 grid(static_cast<unsigned>(out.rows), static_cast<unsigned>((heads + y - 1) / y));
  const dim3 block(static_cast<unsigned>(x), static_cast<unsigned>(y));
  launch(on, headsKernel, grid, block, 0, a, b, out, dim);
}

// A block takes kColumns columns of a sequence: eight to a thread along x; along y are kParts
// threads, each with every kParts-th token. So a mean depends on nothing but the sequence.
constexpr int kParts = 8, kLanes = 32, kColumns = kLanes * kEight;

__global__ void __launch_bounds__(kParts* kLanes)
    meanKernel(Matrix x, const int32_t* starts, Matrix out) {
  __shared__ float sums[kParts][kColumns];
  waitForInputs();
  const int64_t col = static_cast<int64_t>(blockIdx.y) * kColumns + threadIdx.x * kEight;
  const int64_t n = x.cols - col;
  const int64_t begin = starts[blockIdx.x], end = starts[blockIdx.x + 1];
  float sum[kEight] = {};
  constexpr int kAtOnce = 4;
  for (int64_t t = begin + threadIdx.y; t < end && n > 0; t += kAtOnce * kParts) {
    Eight e[kAtOnce];
    DCC_UNROLL for (int i = 0; i < kAtOnce; ++i) {
      if (t + i * kParts < end) e[i] = readEight(x, t + i * kParts, col, n);
    }
    DCC_UNROLL for (int i = 0; i < kAtOnce; ++i) {
      float v[kEight];
      toF32(e[i], x.dtype, v);
      DCC_UNROLL for (int j = 0; j < kEight; ++j) sum[j] += v[j];
    }
  }
  DCC_UNROLL for (int j = 0; j < kEight; ++j) {
    sums[threadIdx.y][j * kLanes + threadIdx.x] = sum[j];
  }
  __syncthreads();
  if (threadIdx.y > 0 || n <= 0) return;
  const float count = begin < end ? static_cast<float>(end - begin) : 1;
  DCC_UNROLL for (int j = 0; j < kEight; ++j) {
    for (int part = 1; part < kParts; ++part) sum[j] += sums[part][j * kLanes + threadIdx.x];
    sum[j] /= count;
  }
  writeEight(out, blockIdx.x, col, n, fromF32(sum, out.dtype));
}

}  // namespace

void copy(const Launch& on, const Matrix& x, const Matrix& out) { gather(on, SameRow(), x, out); }

void lastToken(const Launch& on, const Matrix& x, const StepView& step, const Matrix& out) {
  gather(on, LastRow{step.starts}, x, out);
}

void firstToken(const Launch& on, const Matrix& x, const StepView& step, const Matrix& out) {
  gather(on, FirstRow{step.starts}, x, out);
}

void meanTokens(const Launch& on, const Matrix& x, const StepView& step, const Matrix& out) {
  if (out.rows == 0) return;
  const dim3 grid(static_cast<unsigned>(out.rows),
                  static_cast<unsigned>((out.cols + kColumns - 1) / kColumns));
  launch(on, meanKernel, grid, dim3(kLanes, kParts), 0, x, step.starts, out);
}

void sliceColumns(const Launch& on, const Matrix& x, int64_t begin, const Matrix& out) {
  Matrix from = x;
  from.data = x.at(0, begin);
  copy(on, from, out);
}

void sliceRows(const Launch& on, const Matrix& x, int64_t part, int64_t parts, const Matrix& out) {
  const int64_t first = part * (x.rows / parts) + std::min(part, x.rows % parts);
  Matrix from = x;
  from.data = x.at(first, 0);
  copy(on, from, out);
}

void sliceHeads(const Launch& on, const Matrix& x, int64_t head_dim, int64_t first, int64_t size,
                const Matrix& out) {
  copyHeads(on, {x, head_dim, first, 0, size}, {}, out);
}

void extendHeads(const Launch& on, const Matrix& x, const Matrix& y, int64_t head_dim,
                 const Matrix& out) {
  copyHeads(on, {x, head_dim, 0, 0, head_dim}, {y, 0, 0, head_dim, y.cols}, out);
}

}  // namespace dcc::cuda
