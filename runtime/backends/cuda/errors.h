// Errors of the CUDA runtime as ours.
#pragma once

#include <string>

#include "runtime/backends/cuda/cuda.h"
#include "runtime/base/status.h"

namespace dcc::cuda {

// Runtime error "<where>: <name>: <what CUDA says>" unless `error` is cudaSuccess.
inline Status check(cudaError_t error, const std::string& where) {
  if (error == cudaSuccess) return Status::success();
  cudaGetLastError();  // said once
  return runtimeError(where + ": " + cudaGetErrorName(error) + ": " + cudaGetErrorString(error));
}

}  // namespace dcc::cuda
