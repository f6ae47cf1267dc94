// What this machine can do at most, measured: the ceilings that benchmarks are shares of.
#pragma once

#include "runtime/backends/cpu/thread_pool.h"

namespace dcc::cpu {

// Bytes per second that the pool's threads read from memory together, one after the other address,
// from a block that no cache holds.
double measureReadBandwidth(ThreadPool& pool);

// f32 operations per second (2 per multiply-add) that the pool's threads do in registers, with the
// instruction set in use.
double measureMultiplyAdd(ThreadPool& pool);

}  // namespace dcc::cpu
