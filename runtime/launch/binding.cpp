#include "runtime/launch/binding.h"

#include <hwloc.h>
#include <sched.h>

#include <climits>
#include <memory>
#include <span>
#include <type_traits>

#include "runtime/base/hash.h"
#include "runtime/launch/cores.h"
#include "runtime/launch/rendezvous.h"

namespace dcc::launch {
namespace {

using Topology =
    std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, decltype(&hwloc_topology_destroy)>;

// This machine as far as we may use it, or the one described; null where hwloc cannot tell.
Topology loadTopology(const char* machine) {
  hwloc_topology_t made = nullptr;
  if (hwloc_topology_init(&made) != 0) return {nullptr, hwloc_topology_destroy};
  Topology topology(made, hwloc_topology_destroy);
  const bool known = machine == nullptr || hwloc_topology_set_synthetic(made, machine) == 0;
  if (!known || hwloc_topology_load(made) != 0) return {nullptr, hwloc_topology_destroy};
  if (machine != nullptr) return topology;
  const hwloc_bitmap_t own = hwloc_bitmap_alloc();
  for (const uint32_t cpu : affinityCpus()) hwloc_bitmap_set(own, cpu);
  const bool ok = hwloc_topology_restrict(made, own, 0) == 0;
  hwloc_bitmap_free(own);
  if (!ok) topology.reset();
  return topology;
}

void bindTo(const std::vector<uint32_t>& cpus) {
  cpu_set_t* set = CPU_ALLOC(cpus.back() + 1);
  if (set == nullptr) return;
  const size_t bytes = CPU_ALLOC_SIZE(cpus.back() + 1);
  CPU_ZERO_S(bytes, set);
  for (const uint32_t cpu : cpus) CPU_SET_S(cpu, bytes, set);
  // Where that is forbidden the system places us, which is only slower.
  ::sched_setaffinity(0, bytes, set);
  CPU_FREE(set);
}

}  // namespace

std::vector<std::vector<uint32_t>> divideCpus(uint32_t ranks, const char* machine) {
  const Topology topology = loadTopology(machine);
  if (!topology) return {};
  hwloc_obj_t root = hwloc_get_root_obj(topology.get());
  if (hwloc_bitmap_weight(root->cpuset) < static_cast<int>(ranks)) return {};
  std::vector<hwloc_cpuset_t> sets(ranks);
  if (hwloc_distrib(topology.get(), &root, 1, sets.data(), ranks, INT_MAX, 0) != 0) return {};
  std::vector<std::vector<uint32_t>> parts(ranks);
  for (uint32_t r = 0; r < ranks; ++r) {
    for (int cpu = hwloc_bitmap_first(sets[r]); cpu >= 0; cpu = hwloc_bitmap_next(sets[r], cpu)) {
      parts[r].push_back(static_cast<uint32_t>(cpu));
    }
    hwloc_bitmap_free(sets[r]);
  }
  return parts;
}

Status bindToOwnCpus(Communicator& world, uint32_t threads) {
  struct Said {
    Hash host, cpus;
  };
  const std::vector<uint32_t> cpus = affinityCpus();
  Hasher hasher;
  for (const uint32_t cpu : cpus) hasher.add(cpu);
  const Said own = {hostIdentity(), hasher.finish()};
  std::vector<Said> all(world.size());
  const std::vector<size_t> sizes(world.size(), sizeof(Said));
  DCC_RETURN_IF_ERROR(world.allGather(&own, all.data(), sizes));
  uint32_t local = 0, index = 0;
  for (uint32_t r = 0; r < world.size(); ++r) {
    if (!(all[r].host == own.host)) continue;
    if (!(all[r].cpus == own.cpus)) return Status::success();
    if (r < world.rank()) ++index;
    ++local;
  }
  if (local == 1) return Status::success();
  const auto parts = divideCpus(local);
  if (index < parts.size() && parts[index].size() >= threads) bindTo(parts[index]);
  return Status::success();
}

}  // namespace dcc::launch
