// Barrier and all-reduce among processes of this machine over shared memory.
//
//   collectives_bench [RANKS]...      by default 2, 4 and 8
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "runtime/collectives/shared_memory.h"
#include "runtime/launch/cores.h"

namespace {

using namespace dcc;
using Clock = std::chrono::steady_clock;

// Microseconds per call, the best of several rounds: other programs only ever make it slower.
template <class Call>
double measure(Communicator& world, int calls, Call&& call) {
  double best = 1e30;
  for (int round = 0; round < 7; ++round) {
    if (!world.barrier().ok()) std::abort();
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) {
      if (!call().ok()) std::abort();
    }
    const std::chrono::duration<double, std::micro> took = Clock::now() - start;
    best = std::min(best, took.count() / calls);
  }
  return best;
}

void runRank(Communicator& world) {
  const auto print = [&](const char* what, size_t bytes, double us) {
    if (world.rank() == 0) std::printf("%5u  %-10s %8zu  %9.2f\n", world.size(), what, bytes, us);
  };
  print("barrier", 0, measure(world, 2000, [&] { return world.barrier(); }));
  std::vector<float> values(1 << 20, 1);
  for (size_t bytes = 4096; bytes <= values.size() * sizeof(float); bytes *= 4) {
    const int calls = bytes > 100'000 ? 50 : 500;
    const size_t count = bytes / sizeof(float);
    const double us = measure(
        world, calls, [&] { return world.allReduceSum(values.data(), values.data(), count); });
    print("all-reduce", bytes, us);
  }
  std::fflush(stdout);
}

void runGroup(uint32_t ranks) {
  const size_t bytes = Region::bytesFor(ranks, Region::kDefaultSlotBytes).value();
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) std::abort();
  const std::span memory(static_cast<std::byte*>(at), bytes);
  if (!Region::format(memory, ranks, Region::kDefaultSlotBytes).ok()) std::abort();
  WaitOptions wait;
  wait.crowded = ranks > launch::usableCores();
  for (uint32_t r = 0; r < ranks; ++r) {
    if (::fork() != 0) continue;
    runRank(*sharedMemoryCommunicator(memory, r, ranks, wait).value());
    std::_Exit(0);
  }
  while (::wait(nullptr) > 0) {
  }
  ::munmap(at, bytes);
}

}  // namespace

int main(int argc, char** argv) {
  std::printf("ranks  call          bytes         us   (%u cores)\n", launch::usableCores());
  std::fflush(stdout);
  if (argc < 2) {
    for (const uint32_t ranks : {2, 4, 8}) runGroup(ranks);
  }
  for (int i = 1; i < argc; ++i) runGroup(static_cast<uint32_t>(std::atoi(argv[i])));
}
