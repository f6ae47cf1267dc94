// route: a warp to a row. Lane l has experts l, l + 32, ... in shared memory.
#include <algorithm>
#include <cmath>

#include "runtime/backends/cuda/elements.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/ordered.cuh"

namespace dcc::cuda {
namespace {

constexpr unsigned kAll = ~0u;

__device__ inline float warpSum(float x) {
  DCC_UNROLL for (int bits = 16; bits > 0; bits /= 2) x += __shfl_xor_sync(kAll, x, bits);
  return x;
}

// Takes the largest of n numbers in shared memory one after the other, the first of equals first.
class Choice {
 public:
  __device__ Choice(uint32_t* keys, int n, int lane) : keys_(keys), n_(n), lane_(lane) { look(); }

  // The place of the largest that is left, of which kBelowAll remains. There is one.
  __device__ int take() {
    const uint32_t most = __reduce_max_sync(kAll, best_);
    const unsigned at = __reduce_min_sync(kAll, best_ == most ? at_ : kAll);
    if (static_cast<int>(at % 32) == lane_) {
      keys_[at] = kBelowAll;
      look();
    }
    return static_cast<int>(at);
  }

 private:
  // This lane's largest.
  __device__ void look() {
    best_ = kBelowAll;
    for (int i = lane_; i < n_; i += 32) {
      if (keys_[i] > best_) {
        best_ = keys_[i];
        at_ = i;
      }
    }
  }

  uint32_t* keys_;
  int n_, lane_;
  uint32_t best_ = kBelowAll;
  unsigned at_ = 0;
};

// Scores in place of logits; every lane's own.
__device__ inline void score(plan::Scores scores, float* x, int n, int lane) {
  if (scores == plan::Scores::kSigmoid) {
    for (int e = lane; e < n; e += 32) x[e] = 1 / (1 + expf(-x[e]));
    return;
  }
  uint32_t own = kBelowAll;
  for (int e = lane; e < n; e += 32) own = max(own, ordered(x[e]));
  const float most = fromOrdered(__reduce_max_sync(kAll, own));
  float sum = 0;
  for (int e = lane; e < n; e += 32) sum += x[e] = expf(x[e] - most);
  sum = warpSum(sum);
  for (int e = lane; e < n; e += 32) x[e] /= sum;
}

// The sum of the `best` largest of n keys, from the largest on.
__device__ inline float sumOfLargest(const uint32_t* keys, int n, int best) {
  float sum = 0;
  uint32_t last = ~0u;
  int last_at = -1;
  for (int taken = 0; taken < best; ++taken) {
    uint32_t most = kBelowAll;
    int at = -1;
    for (int i = 0; i < n; ++i) {
      const uint32_t key = keys[i];
      if (key > most && (key < last || (key == last && i > last_at))) {
        most = key;
        at = i;
      }
    }
    sum += fromOrdered(most);
    last = most;
    last_at = at;
  }
  return sum;
}

// Takes the experts of all but the `live` best groups out of the choice. `groups`: room for their
// keys.
__device__ inline void closeGroups(const RouteShape& shape, uint32_t* keys, int experts,
                                   uint32_t* groups, int lane) {
  const int count = static_cast<int>(shape.groups), size = experts / count;
  __syncwarp();
  for (int g = lane; g < count; g += 32) {
    groups[g] = ordered(sumOfLargest(keys + g * size, size, static_cast<int>(shape.best)));
  }
  Choice choice(groups, count, lane);
  for (int i = 0; i < shape.live; ++i) choice.take();
  __syncwarp();
  for (int e = lane; e < experts; e += 32) {
    if (groups[e / size] != kBelowAll) keys[e] = ordered(-INFINITY);
  }
}

// Keys, scores and groups of a row fit into what every block may have of shared memory.
static_assert(3 * kRouteExperts * sizeof(uint32_t) <= 48 * 1024);

size_t wordsOf(int64_t experts, int64_t groups) {
  return static_cast<size_t>(2 * experts + (groups > 1 ? groups : 0));
}

__global__ void routeKernel(Matrix logits, RouteShape shape, const int32_t* live_rows, Matrix out,
                            int words) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const int lane = static_cast<int>(threadIdx.x), experts = static_cast<int>(logits.cols);
  auto* const keys = dynamicShared<uint32_t>() + threadIdx.y * words;
  auto* const scores = reinterpret_cast<float*>(keys + experts);
  uint32_t* const groups = keys + 2 * experts;
  waitForInputs();
  if (row >= logits.rows) return;
  if (live_rows != nullptr && row >= *live_rows) {
    for (int e = lane; e < experts; e += 32) store(out, row, e, 0);
    return;
  }

  for (int e = lane; e < experts; e += 32) scores[e] = load(logits, row, e);
  score(shape.scores, scores, experts, lane);
  for (int e = lane; e < experts; e += 32) {
    keys[e] = ordered(scores[e] + (shape.bias == nullptr ? 0 : shape.bias[e]));
  }
  if (shape.groups > 1) closeGroups(shape, keys, experts, groups, lane);
  __syncwarp();  // scores are read by all lanes
  Choice choice(keys, experts, lane);
  float sum = 0;
  for (int i = 0; i < shape.k; ++i) sum += scores[choice.take()];
  constexpr float kTiny = 1e-20f;  // scores may all be too small for f32
  const float factor = shape.normalize ? shape.scale / (sum + kTiny) : shape.scale;
  for (int e = lane; e < experts; e += 32) {
    store(out, row, e, keys[e] == kBelowAll ? scores[e] * factor : 0);
  }
}

}  // namespace

void route(const Launch& on, const Matrix& logits, const RouteShape& shape,
           const int32_t* live_rows, const Matrix& out) {
  if (logits.rows == 0) return;
  // A block per row while they are few; four where that leaves room for other blocks.
  const auto rows = static_cast<unsigned>(logits.rows);
  const size_t words = wordsOf(logits.cols, shape.groups);
  const unsigned together = rows >= 256 && words <= 1024 ? 4 : 1;
  launch(on, routeKernel, dim3((rows + together - 1) / together), dim3(32, together),
         together * words * sizeof(uint32_t), logits, shape, live_rows, out,
         static_cast<int>(words));
}

}  // namespace dcc::cuda
