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

// The instruction sets this machine has of those the kernels know, best first: "amx",
// "avx512_bf16", "avx512", "avx2", "sse4"; "neon". Each has all that follow it.
std::vector<std::string> cpuInstructionSets();
// The one in use: the first, unless another is forced.
std::string cpuInstructionSet();
// The one in use as people know it: "AVX-512 (avx512)".
std::string cpuKernels();

// Has all kernels of this process use the named one from now on; "" is the machine's best. For
// tests and comparisons, while no step runs. User error that lists the names when there is none
// such.
Status forceCpuInstructionSet(std::string_view name);
// The same with the name in this environment variable, if it is set.
inline constexpr char kInstructionsVariable[] = "DRUN_INSTRUCTIONS";
Status forceCpuInstructionSetFromEnvironment();

}  // namespace dcc
