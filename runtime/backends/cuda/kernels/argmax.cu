// argmax: blocks share a row. Each adds its largest to the row's with an atomic maximum, and the
// last to come writes the result.
#include "runtime/backends/cuda/eights.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/ordered.cuh"

namespace dcc::cuda {
namespace {

constexpr int kThreads = 256, kEights = 2, kColumns = kThreads * kEights * kEight;

// A row's, between launches all zero.
struct Shared {
  // ordered() of the largest so far, and behind it the complement of its column: of equals the
  // first is the largest.
  unsigned long long best;
  unsigned done;  // blocks
  unsigned unused;
};

__device__ inline unsigned long long packed(uint32_t key, uint32_t column) {
  return static_cast<unsigned long long>(key) << 32 | ~column;
}

// The largest of the warp's, and the smallest column of equals.
__device__ inline void warpLargest(uint32_t& key, uint32_t& column) {
  const uint32_t most = __reduce_max_sync(~0u, key);
  column = __reduce_min_sync(~0u, key == most ? column : ~0u);
  key = most;
}

__global__ void __launch_bounds__(kThreads)
    argmaxKernel(Matrix logits, Largest* out, Shared* rows) {
  __shared__ uint32_t keys[kThreads / 32], columns[kThreads / 32];
  waitForInputs();
  const int64_t row = blockIdx.y;
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kColumns + threadIdx.x * kEight;
  Eight e[kEights];
  DCC_UNROLL for (int i = 0; i < kEights; ++i) {
    const int64_t col = first + i * kThreads * kEight;
    e[i] = readEight(logits, row, col, logits.cols - col);
  }
  uint32_t key = kBelowAll, column = ~0u;
  DCC_UNROLL for (int i = 0; i < kEights; ++i) {
    const int64_t col = first + i * kThreads * kEight;
    float v[kEight];
    toF32(e[i], logits.dtype, v);
    DCC_UNROLL for (int j = 0; j < kEight; ++j) {
      const uint32_t next = ordered(v[j]);
      if (col + j < logits.cols && next > key) {
        key = next;
        column = static_cast<uint32_t>(col) + j;
      }
    }
  }
  warpLargest(key, column);
  if (lane == 0) {
    keys[warp] = key;
    columns[warp] = column;
  }
  __syncthreads();
  if (warp > 0) return;
  key = lane < kThreads / 32 ? keys[lane] : kBelowAll;
  column = lane < kThreads / 32 ? columns[lane] : ~0u;
  warpLargest(key, column);
  if (lane > 0) return;
  Shared& shared = rows[row];
  atomicMax(&shared.best, packed(key, column));
  __threadfence();
  if (atomicAdd(&shared.done, 1u) + 1 < gridDim.x) return;
  // Everybody's is in it.
  __threadfence();
  const unsigned long long best = atomicExch(&shared.best, 0ull);
  shared.done = 0;
  out[row] = {fromOrdered(static_cast<uint32_t>(best >> 32)),
              static_cast<int32_t>(~static_cast<uint32_t>(best))};
}

}  // namespace

void argmax(const Launch& on, const Matrix& logits, Largest* out, std::byte* scratch) {
  if (logits.rows == 0) return;
  const dim3 grid(static_cast<unsigned>((logits.cols + kColumns - 1) / kColumns),
                  static_cast<unsigned>(logits.rows));
  launch(on, argmaxKernel, grid, dim3(kThreads), 0, logits, out,
         reinterpret_cast<Shared*>(scratch));
}

size_t argmaxScratchBytes(int64_t rows, int64_t) {
  return static_cast<size_t>(rows) * sizeof(Shared);
}

}  // namespace dcc::cuda
