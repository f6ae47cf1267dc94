#include "runtime/launch/cores.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>

#include "runtime/launch/cgroup.h"

namespace dcc::launch {
namespace {

std::optional<double> readNumber(std::istream& in) {
  double value;
  if (in >> value && value > 0) return value;
  return std::nullopt;
}

std::optional<double> readNumber(const std::string& path) {
  std::ifstream in(path);
  return readNumber(in);
}

// "max 100000" or "150000 100000": microseconds of CPU time per period.
std::optional<double> quotaV2(const std::string& dir) {
  std::ifstream in(dir + "/cpu.max");
  const auto quota = readNumber(in);
  const auto period = quota ? readNumber(in) : std::nullopt;
  return period ? std::optional(*quota / *period) : std::nullopt;
}

std::optional<double> quotaV1(const std::string& dir) {
  const auto quota = readNumber(dir + "/cpu.cfs_quota_us");  // -1: none
  const auto period = readNumber(dir + "/cpu.cfs_period_us");
  return quota && period ? std::optional(*quota / *period) : std::nullopt;
}

}  // namespace

std::vector<uint32_t> affinityCpus() {
  // The kernel refuses masks smaller than its own; grow until it fits.
  for (size_t cores = 1024; cores <= (1u << 20); cores *= 4) {
    cpu_set_t* set = CPU_ALLOC(cores);
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(cores);
    const bool ok = ::sched_getaffinity(0, bytes, set) == 0;
    std::vector<uint32_t> cpus;
    for (uint32_t cpu = 0; ok && cpu < cores; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, set)) cpus.push_back(cpu);
    }
    CPU_FREE(set);
    if (ok) return cpus;
  }
  return {};
}

uint32_t affinityCores() {
  const size_t cpus = affinityCpus().size();
  if (cpus > 0) return static_cast<uint32_t>(cpus);
  return static_cast<uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

std::optional<double> cpuQuota(const std::string& root) {
  std::optional<double> least;
  for (const auto& [path, v2] : cgroupDirectories("cpu", root)) {
    const auto quota = v2 ? quotaV2(path) : quotaV1(path);
    if (quota) least = std::min(*quota, least.value_or(*quota));
  }
  return least;
}

uint32_t usableCores(const std::string& root) {
  const uint32_t cores = affinityCores();
  const auto quota = cpuQuota(root);
  if (!quota) return cores;
  return std::clamp(static_cast<uint32_t>(std::min(std::ceil(*quota), 1e6)), 1u, cores);
}

uint32_t threadsPerRank(uint32_t cores, uint32_t local_ranks) {
  return std::max(1u, cores / std::max(1u, local_ranks));
}

}  // namespace dcc::launch
