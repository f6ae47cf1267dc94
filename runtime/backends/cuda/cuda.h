// CUDA as our code sees it: the runtime API and the language's own words, either NVIDIA's or, with
// DCC_CUDA_EMULATION, those of emulation/, which run the same sources on the CPU so that they can
// be tested where there is no GPU.
#pragma once

#include <cstdint>

#ifdef DCC_CUDA_EMULATION
#include "runtime/backends/cuda/emulation/language.h"
#include "runtime/backends/cuda/emulation/runtime_api.h"
#else
#include <cuda_runtime.h>
#endif

// Before a loop of few turns, known when it is compiled, whose arrays shall lie in registers; and
// before one that shall stay a loop, to keep code small that runs once.
#ifdef __CUDACC__
#define DCC_UNROLL _Pragma("unroll")
#define DCC_ROLL _Pragma("unroll 1")
#else
#define DCC_UNROLL
#define DCC_ROLL
#endif

namespace dcc::cuda {

// Where and how kernels are launched.
struct Launch {
  cudaStream_t stream = nullptr;
  // Whether a kernel may start while the one before it in the stream still runs (from sm_90 on).
  // Every kernel waits with waitForInputs() before it touches what another writes or reads.
  bool overlap = false;
  // kCounters counters in device memory, zero between kernels: blocks count in them which is the
  // last to finish, which zeroes what it used. For one stream.
  uint32_t* counters = nullptr;
};
inline constexpr int64_t kCounters = 32768;

#ifdef DCC_CUDA_EMULATION

template <class... Params, class... Args>
void launch(const Launch& how, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared,
            Args... args) {
  emulation::launch(how.stream, grid, block, shared,
                    [kernel, ... args = static_cast<Params>(args)] { kernel(args...); });
}
inline void waitForInputs() {}
// The block's dynamic shared memory, 16-byte aligned.
template <class T>
T* dynamicShared() {
  return reinterpret_cast<T*>(emulation::dynamicShared());
}

#elif defined(__CUDACC__)

// `shared`: bytes of dynamic shared memory; above 48 KiB the kernel has been allowed them
// (allowShared). An error stays with the runtime: cudaGetLastError().
template <class... Params, class... Args>
void launch(const Launch& how, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared,
            Args... args) {
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = how.stream;
  cudaLaunchAttribute overlap = {};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  if (how.overlap) {
    config.attrs = &overlap;
    config.numAttrs = 1;
  }
  cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...);
}

// Waits for the kernels before this one in the stream, and lets the next one start to wait. To be
// called by every thread before it reads or writes what others do.
__device__ inline void waitForInputs() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
template <class T>
__device__ T* dynamicShared() {
  extern __shared__ __align__(16) unsigned char dcc_dynamic_shared[];
  return reinterpret_cast<T*>(dcc_dynamic_shared);
}

#endif

// Lets a kernel's blocks have so many bytes of dynamic shared memory, on the current device.
template <class... Params>
void allowShared(void (*kernel)(Params...), size_t bytes) {
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       static_cast<int>(bytes));
}

}  // namespace dcc::cuda
