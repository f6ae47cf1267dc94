// Which CPUs the threads of a rank stay on: its own ones, near each other, so that its memory is
// near too and no two ranks wait for one core.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/collectives/communicator.h"

namespace dcc::launch {

// Divides this process's CPUs among `ranks`: disjoint sets of about the same size, the threads of a
// core and the cores of a NUMA node together where that can be. Nothing where there are fewer CPUs
// than ranks. `machine`: another one than this, as hwloc describes it ("numa:2 core:4 pu:2").
std::vector<std::vector<uint32_t>> divideCpus(uint32_t ranks, const char* machine = nullptr);

// Collective: binds the calling thread, and those it makes from here on, to this rank's part of the
// CPUs of its host. All stays as it is where whoever started the ranks has given them different
// CPUs, and where there are fewer than `threads`. Errors: of the exchange with the others.
Status bindToOwnCpus(Communicator& world, uint32_t threads);

}  // namespace dcc::launch
