// Which rows ask for which experts: two launches, of a warp per row and a block per expert.
#include "runtime/backends/cuda/experts.cuh"

namespace dcc::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

__global__ void __launch_bounds__(kThreads) wantedKernel(Matrix gates, ExpertLists lists) {
  waitForInputs();
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (row >= lists.rows) return;
  const unsigned lane = threadIdx.x % 32;
  int32_t* const wanted = lists.wanted + row * lists.chosen;
  const float* const gate = f32Row(gates, row);
  int64_t count = 0;
  for (int64_t from = 0; from < lists.experts; from += 32) {
    const int64_t e = from + lane;
    const unsigned found = __ballot_sync(~0u, e < lists.experts && gate[e] != 0);
    const int64_t at = count + __popc(found & ((1u << lane) - 1));
    if ((found >> lane & 1) != 0 && at < lists.chosen) wanted[at] = static_cast<int32_t>(e);
    count += __popc(found);
  }
  for (int64_t i = count + lane; i < lists.chosen; i += 32) wanted[i] = -1;
}

// Every thread counts a part of the requests, of this expert and of those before it.
__global__ void __launch_bounds__(kThreads) sortKernel(ExpertLists lists) {
  __shared__ int32_t warp_own[kWarps], warp_before[kWarps];
  waitForInputs();
  const auto expert = static_cast<int32_t>(blockIdx.x);
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const int64_t requests = lists.rows * lists.chosen;
  const int64_t part = (requests + kThreads - 1) / kThreads;
  const int64_t begin = min(part * threadIdx.x, requests), end = min(begin + part, requests);
  int32_t own = 0, before = 0;
  for (int64_t i = begin; i < end; ++i) {
    const int32_t e = lists.wanted[i];
    own += e == expert ? 1 : 0;
    before += e >= 0 && e < expert ? 1 : 0;
  }
  int32_t up_to = own;  // of this thread and those before it in the warp
  for (int step = 1; step < 32; step *= 2) {
    const int32_t left = __shfl_up_sync(~0u, up_to, step);
    if (lane >= step) up_to += left;
    before += __shfl_xor_sync(~0u, before, step);
  }
  if (lane == 31) {
    warp_own[warp] = up_to;
    warp_before[warp] = before;
  }
  __syncthreads();
  int32_t first = 0, at = up_to - own, all = 0;
  for (int i = 0; i < kWarps; ++i) {
    first += warp_before[i];
    at += i < warp ? warp_own[i] : 0;
    all += warp_own[i];
  }
  at += first;
  for (int64_t i = begin; i < end; ++i) {
    if (lists.wanted[i] != expert) continue;
    lists.sorted[at] = static_cast<int32_t>(i);
    lists.place[i] = at++;
  }
  if (threadIdx.x != 0) return;
  lists.first[expert] = first;
  if (expert + 1 == lists.experts) lists.first[lists.experts] = first + all;
}

}  // namespace

void makeExpertLists(const Launch& on, const Matrix& gates, const ExpertLists& lists) {
  launch(on, wantedKernel, dim3(static_cast<unsigned>((lists.rows + kWarps - 1) / kWarps)),
         dim3(kThreads), 0, gates, lists);
  launch(on, sortKernel, dim3(static_cast<unsigned>(lists.experts)), dim3(kThreads), 0, lists);
}

}  // namespace dcc::cuda
