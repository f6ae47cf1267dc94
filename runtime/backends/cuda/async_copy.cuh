// Copies from global to shared memory that go on while the thread does (cp.async). Source: PTX ISA,
// "Data Movement and Conversion Instructions: Asynchronous copy".
//
// A thread's copies form groups; it waits for its own only. What other threads have copied is there
// after a barrier behind their waits.
#pragma once

#include "runtime/backends/cuda/elements.cuh"

namespace dcc::cuda {

#ifdef DCC_CUDA_EMULATION

inline void copyAsync16(void* to, const void* from, bool valid) {
  static constexpr Bytes16 kZeros = {};
  emulation::copyAsync(to, valid ? from : &kZeros, 16);
}
inline void commitCopies() { emulation::commitCopies(); }
template <int kPending>
void waitForCopies() {
  emulation::waitForCopies(kPending);
}

#else

// 16 bytes, or as many zeros where not `valid`: `from` is not read then. Both addresses are
// multiples of 16.
__device__ inline void copyAsync16(void* to, const void* from, bool valid) {
  const auto shared = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared), "l"(from),
               "r"(valid ? 16 : 0)
               : "memory");
}
// Ends a group: the copies since the last one, perhaps none.
__device__ inline void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most the latest kPending groups are under way.
template <int kPending>
__device__ void waitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

#endif

}  // namespace dcc::cuda
