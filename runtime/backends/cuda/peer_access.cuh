// Memory that several GPUs, or a GPU and the host, read and write at the same time: relaxed
// accesses at system scope (PTX ISA, "Memory Consistency Model"), each of at most 8 bytes as one.
#pragma once

#include "runtime/backends/cuda/peers.h"

#ifdef DCC_CUDA_EMULATION
#include <chrono>
#endif

namespace dcc::cuda {

#ifdef DCC_CUDA_EMULATION

inline void storeLine(Line* to, uint64_t first, uint64_t second) {
  std::atomic_ref<uint64_t>(to->halves[0]).store(first, std::memory_order_relaxed);
  std::atomic_ref<uint64_t>(to->halves[1]).store(second, std::memory_order_relaxed);
}
inline Line loadLineIf(bool wanted, const Line* from) {
  Line line = {};
  // Its halves may come at different times, in any order.
  for (const int half : {1, 0}) {
    if (!wanted) break;
    line.halves[half] = std::atomic_ref<uint64_t>(const_cast<Line*>(from)->halves[half])
                            .load(std::memory_order_relaxed);
  }
  return line;
}
inline uint32_t loadShared(const uint32_t* from) {
  return std::atomic_ref<uint32_t>(*const_cast<uint32_t*>(from)).load(std::memory_order_relaxed);
}
template <class T>
void storeShared(T* to, T value) {
  std::atomic_ref<T>(*to).store(value, std::memory_order_relaxed);
}
inline uint64_t nanoseconds() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}
inline void pauseBetweenLooks() { emulation::pause(); }

#else

// A vector's elements are accesses of their own, so that 8 bytes are never torn.
__device__ inline void storeLine(Line* to, uint64_t first, uint64_t second) {
  asm volatile("st.relaxed.sys.global.v2.b64 [%0], {%1, %2};" ::"l"(to), "l"(first), "l"(second)
               : "memory");
}
// Zeros if it is not wanted. No branch, so that many loads can be on their way at once.
__device__ inline Line loadLineIf(bool wanted, const Line* from) {
  Line line = {};
  asm volatile(
      "{ .reg .pred wanted; setp.ne.b32 wanted, %3, 0;\n"
      "  @wanted ld.relaxed.sys.global.v2.b64 {%0, %1}, [%2]; }"
      : "+l"(line.halves[0]), "+l"(line.halves[1])
      : "l"(from), "r"(static_cast<uint32_t>(wanted))
      : "memory");
  return line;
}
__device__ inline uint32_t loadShared(const uint32_t* from) {
  uint32_t value;
  asm volatile("ld.relaxed.sys.global.b32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
  return value;
}
__device__ inline void storeShared(uint32_t* to, uint32_t value) {
  asm volatile("st.relaxed.sys.global.b32 [%0], %1;" ::"l"(to), "r"(value) : "memory");
}
__device__ inline void storeShared(uint64_t* to, uint64_t value) {
  asm volatile("st.relaxed.sys.global.b64 [%0], %1;" ::"l"(to), "l"(value) : "memory");
}
__device__ inline uint64_t nanoseconds() {
  uint64_t time;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(time));
  return time;
}
__device__ inline void pauseBetweenLooks() {}

#endif

}  // namespace dcc::cuda
