// What this machine can compute at most, measured: a ceiling that benchmarks are shares of (that of
// memory: runtime/backends/cpu/bandwidth.h).
#pragma once

#include "runtime/backends/cpu/thread_pool.h"

namespace dcc::cpu {

// f32 operations per second (2 per multiply-add) that the pool's threads do in registers, with the
// instruction set in use.
double measureMultiplyAdd(ThreadPool& pool);
// The same of products of bf16 with bf16.
double measureBf16(ThreadPool& pool);

}  // namespace dcc::cpu
