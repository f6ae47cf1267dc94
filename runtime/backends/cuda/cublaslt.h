// cuBLASLt, opened at run time. bf16 by bf16 and f16 by f16 to f32 or the same type, and f32 by f32
// without TF32, all with sums in f32 and none in a type that is narrower; a bias is added by its
// epilogue where out is f32. What else there is tiledGemm() does.
#pragma once

#include <cublasLt.h>

#include <memory>

#include "runtime/backends/cuda/matrix_library.h"

namespace dcc::cuda {

// The entry points that are used, by the names of cublasLt.h.
struct CublasLtFunctions {
#define DCC_CUBLASLT_FUNCTIONS(X) \
  X(GetVersion)                   \
  X(GetStatusName)                \
  X(Create)                       \
  X(Destroy)                      \
  X(MatmulDescCreate)             \
  X(MatmulDescDestroy)            \
  X(MatmulDescSetAttribute)       \
  X(MatrixLayoutCreate)           \
  X(MatrixLayoutDestroy)          \
  X(MatmulPreferenceCreate)       \
  X(MatmulPreferenceDestroy)      \
  X(MatmulPreferenceSetAttribute) \
  X(MatmulAlgoGetHeuristic)       \
  X(Matmul)
#define DCC_DECLARE(name) decltype(&::cublasLt##name) name = nullptr;
  DCC_CUBLASLT_FUNCTIONS(DCC_DECLARE)
#undef DCC_DECLARE
};

// From libcublasLt.so.13 or .12, which stays open. `path`: this file instead, unless it is empty.
// Error (user): not installed, or without one of the functions; how to get it.
Result<CublasLtFunctions> openCublasLt(const std::string& path = "");

// Of the current device. Error (runtime): the library's.
Result<std::unique_ptr<MatrixLibrary>> cublasLtProducts(const CublasLtFunctions& functions);

}  // namespace dcc::cuda
