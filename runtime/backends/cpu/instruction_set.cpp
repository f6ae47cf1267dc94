#include "runtime/backends/cpu/instruction_set.h"

#include <atomic>
#include <cstdlib>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "hwy/highway.h"
#include "runtime/backends/cpu/amx_tiles.h"
#include "runtime/backends/cpu/cpu_backend.h"

namespace dcc {
namespace {

using cpu::Bf16Products;

struct InstructionSet {
  const char* name;
  int64_t target;  // Highway's
  Bf16Products products;
  const char* title;
};

// Best first.
constexpr InstructionSet kKnown[] = {
    {"amx", HWY_AVX3, Bf16Products::kAmx, "AMX (amx)"},
    {"avx512_bf16", HWY_AVX3, Bf16Products::kAvx512, "AVX-512 with bf16 (avx512_bf16)"},
    {"avx512", HWY_AVX3, Bf16Products::kWidened, "AVX-512 (avx512)"},
    {"avx2", HWY_AVX2, Bf16Products::kWidened, "AVX2 (avx2)"},
    {"sse4", HWY_SSE4, Bf16Products::kWidened, "SSE4 (sse4)"},
    {"neon", HWY_NEON, Bf16Products::kWidened, "NEON (neon)"},
};

#if defined(__x86_64__)
bool hasAvx512Bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}
#else
bool hasAvx512Bf16() { return false; }
#endif

bool has(Bf16Products products) {
  switch (products) {
    case Bf16Products::kWidened:
      return true;
    case Bf16Products::kAvx512:
      return hasAvx512Bf16();
    case Bf16Products::kAmx:
      return hasAvx512Bf16() && cpu::mayUseAmx();
  }
  return false;
}

// What this machine has of them.
const std::vector<InstructionSet>& usable() {
  // Highway's answer changes once a set is forced: asked before that.
  static const std::vector<InstructionSet> found = [] {
    std::vector<InstructionSet> sets;
    for (const InstructionSet& set : kKnown) {
      for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
        if (target == set.target && has(set.products)) sets.push_back(set);
      }
    }
    if (sets.empty()) sets.push_back({"baseline", 0, Bf16Products::kWidened, "baseline"});
    return sets;
  }();
  return found;
}

std::atomic<size_t> chosen = 0;  // of usable()

const InstructionSet& inUse() { return usable()[chosen.load(std::memory_order_relaxed)]; }

}  // namespace

namespace cpu {
Bf16Products bf16Products() { return inUse().products; }
}  // namespace cpu

std::vector<std::string> cpuInstructionSets() {
  std::vector<std::string> names;
  for (const InstructionSet& set : usable()) names.emplace_back(set.name);
  return names;
}

std::string cpuInstructionSet() { return inUse().name; }
std::string cpuKernels() { return inUse().title; }

Status forceCpuInstructionSet(std::string_view name) {
  std::string known;
  for (size_t i = 0; i < usable().size(); ++i) {
    const InstructionSet& set = usable()[i];
    if (name.empty() || name == set.name) {
      hwy::SetSupportedTargetsForTest(set.target);
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
      chosen.store(i, std::memory_order_relaxed);
      return Status::success();
    }
    known += (known.empty() ? "" : ", ") + std::string(set.name);
  }
  return userError("instruction set '" + std::string(name) +
                   "': not one this machine has; have: " + known);
}

Status forceCpuInstructionSetFromEnvironment() {
  const char* name = std::getenv(kInstructionsVariable);
  if (name == nullptr) return Status::success();
  Status status = forceCpuInstructionSet(name);
  if (status.ok()) return status;
  return userError(std::string(kInstructionsVariable) + ": " + status.error().message);
}

}  // namespace dcc
