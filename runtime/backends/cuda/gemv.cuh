// What the kernels of gemv() and gatedGemv() share.
#pragma once

#include "runtime/backends/cuda/functions.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/vectors.cuh"

namespace dcc::cuda {

// What a launch computes, of a weight [n, k]: out[m, n] (+ bias), or, gated, out[m, n / 2] =
// function(a * first half') * (a * second half').
struct FewRowsProduct {
  Matrix a;
  WeightView weight;
  const float* bias = nullptr;
  plan::Function function = plan::Function::kSilu;
  Matrix out;
};

// The weight's row for a column of out, or of the second half. Beyond the last column it is that
// one's.
template <class W>
__device__ const W* productRow(const FewRowsProduct& p, int64_t col, bool second_half) {
  col = min(col, p.out.cols - 1);
  return reinterpret_cast<const W*>(p.weight.data) +
         (second_half ? p.out.cols + col : col) * p.weight.stride;
}

// Of sum, and with kGated of up, what belongs into out; nothing beyond its last column.
template <bool kGated>
__device__ void storeProduct(const FewRowsProduct& p, int m, int64_t col, float sum, float up) {
  if (col >= p.out.cols) return;
  if constexpr (kGated) sum = applyFunction(p.function, sum) * up;
  if (p.bias != nullptr) sum += p.bias[col];
  store(p.out, m, col, sum);
}

// Of bf16 by bf16 or f16 by f16, in whole vectors, on tensor cores.
void tensorGemv(const Launch& on, const FewRowsProduct& p, bool gated);

}  // namespace dcc::cuda
