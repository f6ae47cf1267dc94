// Plans on NVIDIA GPUs: one rank, one GPU.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "runtime/backends/backend.h"
#include "runtime/backends/cuda/device_transport.h"

namespace dcc {

struct CudaOptions {
  uint32_t local_rank = 0;  // of the ranks of this host; which GPU is its, modulo their number
  std::string tuning_file;  // what `drun DIR tune` wrote, or may write; "": none
  cuda::DeviceTransport transport = cuda::DeviceTransport::kAuto;
  // Longest time without a sign of life of a rank that is waited for.
  std::chrono::milliseconds deadline{30'000};
};

// Error (user): there is no GPU here, no driver, or this build has no CUDA; it says which.
Result<std::unique_ptr<Backend>> makeCudaBackend(const CudaOptions& options);

}  // namespace dcc
