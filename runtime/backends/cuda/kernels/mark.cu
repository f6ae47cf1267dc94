// What a host that waits can read of how far a stream has come.
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/peer_access.cuh"

namespace dcc::cuda {
namespace {

__global__ void markKernel(uint32_t* host, uint32_t value) {
  waitForInputs();
  storeShared(host, value);
}

}  // namespace

void mark(const Launch& on, uint32_t* host, uint32_t value) {
  launch(on, markKernel, dim3(1), dim3(1), 0, host, value);
}

}  // namespace dcc::cuda
