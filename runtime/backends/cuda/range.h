// What profilers show of the host's time (NVTX): a name from here to the end of the scope. Costs
// nothing worth naming where no profiler listens.
#pragma once

#ifdef DCC_CUDA_EMULATION
#include "runtime/backends/cuda/emulation/runtime_api.h"
#else
#include <nvtx3/nvToolsExt.h>
#endif

namespace dcc::cuda {

class Range {
 public:
  explicit Range(const char* name) { nvtxRangePushA(name); }
  ~Range() { nvtxRangePop(); }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

}  // namespace dcc::cuda
