// How many threads this process may keep busy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dcc::launch {

// The cores in this process's affinity mask, by number; empty where the system does not tell.
std::vector<uint32_t> affinityCpus();
// How many those are, or there are at all.
uint32_t affinityCores();

// How many cores' time our cgroups allow, the tightest of them; nothing when they don't say.
std::optional<double> cpuQuota(const std::string& root = "");

// Cores in this process's affinity mask, or fewer where a cgroup's CPU quota (version 1 or 2)
// allows less; at least 1. `root` replaces "/" in tests.
uint32_t usableCores(const std::string& root = "");

// Default of --threads: the cores divided among the ranks of this machine, at least 1.
uint32_t threadsPerRank(uint32_t cores, uint32_t local_ranks);

}  // namespace dcc::launch
