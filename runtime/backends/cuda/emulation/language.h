// CUDA's language for a C++ compiler: kernels of runtime/backends/cuda run on the CPU, a block's
// threads as fibers that take turns at barriers and shuffles, blocks one after the other. For
// tests: what a kernel computes is the same, its speed is not.
//
// The order in which threads run between two barriers is either that of their numbers or the
// reverse (DCC_EMULATION_ORDER=reverse): a kernel whose result differs lacks a barrier.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __grid_constant__
// Blocks of a launch follow each other on one thread of the CPU, and so can share this. As on a GPU
// it holds anything when a block begins.
#define __shared__ static thread_local
#define __constant__ static
#define __align__(n) alignas(n)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct uint3 {
  unsigned x, y, z;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

struct CUstream_st;

namespace dcc::cuda::emulation {

// The fiber that runs; of the launch it is in.
struct Here {
  uint3 thread{}, block{};
  dim3 block_dim, grid_dim;
};
Here& here();

// Waits for the block's threads, or for those of the warp that `mask` names.
void blockBarrier();
void warpBarrier(unsigned mask);
unsigned lane();

// What each lane of the warp in `mask` has given, by lane; `value` has at most 8 bytes.
const std::array<uint64_t, 32>& exchange(unsigned mask, uint64_t value);

template <class T>
uint64_t toBits(T value) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}
template <class T>
T fromBits(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

// Runs `thread` for every thread of the grid, or notes it in the graph being captured.
void launch(CUstream_st* stream, dim3 grid, dim3 block, size_t shared,
            std::function<void()> thread);
std::byte* dynamicShared();

// Of a thread that looks again and again at what another rank writes: lets the others of its block,
// and other ranks, go on.
void pause();

// A copy from global to shared memory that is under way: made at the wait for it, so that a kernel
// which reads too early reads what was there before; in reverse order made at once, so that one
// which copies too early overwrites what is still to be read.
void copyAsync(void* to, const void* from, size_t bytes);
void commitCopies();
// Until at most `pending` of this thread's latest groups are under way.
void waitForCopies(unsigned pending);

}  // namespace dcc::cuda::emulation

#define threadIdx (::dcc::cuda::emulation::here().thread)
#define blockIdx (::dcc::cuda::emulation::here().block)
#define blockDim (::dcc::cuda::emulation::here().block_dim)
#define gridDim (::dcc::cuda::emulation::here().grid_dim)
inline constexpr int warpSize = 32;

inline void __syncthreads() { ::dcc::cuda::emulation::blockBarrier(); }
inline void __syncwarp(unsigned mask = ~0u) { ::dcc::cuda::emulation::warpBarrier(mask); }
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void __threadfence_block() { __threadfence(); }
inline void __threadfence_system() { __threadfence(); }

template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
  using namespace dcc::cuda::emulation;
  const unsigned base = lane() / width * width;
  return fromBits<T>(exchange(mask, toBits(value))[base + (from & (width - 1))]);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  using namespace dcc::cuda::emulation;
  const unsigned from = lane() ^ bits;
  const auto& all = exchange(mask, toBits(value));
  return from / width == lane() / width ? fromBits<T>(all[from]) : value;
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  using namespace dcc::cuda::emulation;
  const unsigned from = lane() + by;
  const auto& all = exchange(mask, toBits(value));
  return from / width == lane() / width ? fromBits<T>(all[from]) : value;
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  using namespace dcc::cuda::emulation;
  const unsigned own = lane();
  const auto& all = exchange(mask, toBits(value));
  return own % width >= by ? fromBits<T>(all[own - by]) : value;
}
inline unsigned __ballot_sync(unsigned mask, bool vote) {
  const auto& all = dcc::cuda::emulation::exchange(mask, vote);
  unsigned votes = 0;
  for (unsigned i = 0; i < 32; ++i) votes |= (mask >> i & 1) && all[i] ? 1u << i : 0;
  return votes;
}
inline bool __any_sync(unsigned mask, bool vote) { return __ballot_sync(mask, vote) != 0; }
inline bool __all_sync(unsigned mask, bool vote) { return __ballot_sync(mask, vote) == mask; }
// The smallest or largest of what the lanes of `mask` give.
inline unsigned __reduce_min_sync(unsigned mask, unsigned value) {
  const auto& all = dcc::cuda::emulation::exchange(mask, value);
  for (unsigned i = 0; i < 32; ++i) {
    if (mask >> i & 1) value = std::min(value, static_cast<unsigned>(all[i]));
  }
  return value;
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value) {
  return ~__reduce_min_sync(mask, ~value);
}
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }

// Fibers change only where a kernel waits, so between them nothing is torn; ranks are other threads
// of the CPU, or other processes, and share memory.
template <class T>
T atomicAdd(T* at, T value) {
  return std::atomic_ref<T>(*at).fetch_add(value);
}
template <class T>
T atomicMax(T* at, T value) {
  std::atomic_ref<T> ref(*at);
  T old = ref.load();
  while (old < value && !ref.compare_exchange_weak(old, value)) {
  }
  return old;
}
template <class T>
T atomicExch(T* at, T value) {
  return std::atomic_ref<T>(*at).exchange(value);
}
template <class T>
T atomicCAS(T* at, T compare, T value) {
  std::atomic_ref<T>(*at).compare_exchange_strong(compare, value);
  return compare;
}

template <class T>
T __ldg(const T* at) {
  return *at;
}
template <class T>
T __ldcs(const T* at) {
  return *at;
}
template <class T>
T __ldcg(const T* at) {
  return *at;
}
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float x, float y) { return x / y; }
// Products and sums that are never contracted to one operation.
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline uint32_t __cvta_generic_to_shared(const void*) { return 0; }
using std::max;
using std::min;
