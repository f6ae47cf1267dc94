// Runs plans on the CPU: vectorised for what the machine has, on a few threads per rank.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/backends/backend.h"

namespace dcc {

struct CpuOptions {
  uint32_t threads = 1;  // per rank, at least 1, the caller's included
};

std::unique_ptr<Backend> makeCpuBackend(const CpuOptions& options);

// The instruction sets this machine has of those the kernels are compiled for, best first: "AVX3"
// (AVX-512), "AVX2", "SSE4"; "NEON". The first is the one in use.
std::vector<std::string> cpuInstructionSets();
// The one in use as people know it: "AVX-512 (AVX3)", "AVX2".
std::string cpuKernels();

// Has all kernels of this process use the named one from now on; "" is the machine's best. For
// tests and comparisons, while no step runs. User error that lists the names when there is none
// such.
Status forceCpuInstructionSet(std::string_view name);

}  // namespace dcc
