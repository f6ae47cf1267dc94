// Errors of the CUDA runtime as ours.
#pragma once

#include <string>

#include "runtime/backends/cuda/cuda.h"
#include "runtime/base/status.h"

namespace dcc::cuda {

// Runtime error "<where>: <name>: <what CUDA says>" unless `error` is cudaSuccess.
inline Status check(cudaError_t error, const char* where) {
  if (error == cudaSuccess) return Status::success();
  return runtimeError(std::string(where) + ": " + cudaGetErrorName(error) + ": " +
                      cudaGetErrorString(error));
}

}  // namespace dcc::cuda
