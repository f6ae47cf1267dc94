#include "hwy/highway.h"
#include "runtime/backends/cpu/cpu_backend.h"

namespace dcc {

std::vector<std::string> cpuInstructionSets() {
  std::vector<std::string> names;
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    names.emplace_back(hwy::TargetName(target));
  }
  return names;
}

std::string cpuKernels() {
  const std::string name = cpuInstructionSets().front();
  return name.starts_with("AVX3") ? "AVX-512 (" + name + ")" : name;
}

Status forceCpuInstructionSet(std::string_view name) {
  hwy::SetSupportedTargetsForTest(0);
  int64_t chosen = 0;
  std::string known;
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (name == hwy::TargetName(target)) chosen = target;
    known += (known.empty() ? "" : ", ") + std::string(hwy::TargetName(target));
  }
  if (chosen == 0 && !name.empty()) {
    return userError("instruction set '" + std::string(name) +
                     "': not one this machine has; have: " + known);
  }
  hwy::SetSupportedTargetsForTest(chosen);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return Status::success();
}

}  // namespace dcc
