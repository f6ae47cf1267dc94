// out = a * weight^T (+ bias), accumulated in f32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/backends/cpu/matrix.h"
#include "runtime/backends/cpu/thread_pool.h"

namespace dcc::cpu {

// out[m, n] = sum over k of a[m, k] * weight[n, k] (+ bias[n]). Any of f32, bf16, f16 for a, weight
// and out; `bias` is null or weight.rows values. A row's result does not depend on the other rows
// of the call, nor on the number of threads. The sums over each of `chunks` equal parts of k, a
// power of two that divides it, are added as sumInTree() does: a rank that has some of the chunks
// gets a subtree of the sum over all. `scratch`: plan::gemmWorkspace().
void gemm(ThreadPool& pool, const Matrix& a, const WeightView& weight, const float* bias,
          int64_t chunks, const Matrix& out, std::byte* scratch);

}  // namespace dcc::cpu
