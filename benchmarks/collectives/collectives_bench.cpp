// Barrier and all-reduce among processes of this machine, over shared memory and over TCP.
//
//   collectives_bench [RANKS]...      by default 2, 4 and 8
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/collectives/shared_memory.h"
#include "runtime/collectives/tcp.h"
#include "runtime/launch/cores.h"
#include "runtime/launch/net.h"

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

void runRank(Communicator& world, const char* transport) {
  const auto print = [&](const char* what, size_t bytes, double us) {
    if (world.rank() != 0) return;
    std::printf("%5u  %-3s  %-10s %8zu  %9.2f\n", world.size(), transport, what, bytes, us);
  };
  print("barrier", 0, measure(world, 2000, [&] { return world.barrier(); }));
  std::vector<float> values(1 << 20, 1);
  for (size_t bytes = 4096; bytes <= values.size() * sizeof(float); bytes *= 4) {
    const int calls = bytes > 100'000 ? 50 : 500;
    const size_t count = bytes / sizeof(float);
    const double us = measure(world, calls, [&] {
      return world.allReduceSum(values.data(), values.data(), count, SumOrder::kRanks);
    });
    print("all-reduce", bytes, us);
  }
  std::fflush(stdout);
}

using Make = std::function<std::unique_ptr<Communicator>(uint32_t rank, const WaitOptions&)>;

void runProcesses(uint32_t ranks, const char* transport, const Make& make) {
  WaitOptions wait;
  wait.crowded = ranks > launch::usableCores();
  for (uint32_t r = 0; r < ranks; ++r) {
    if (::fork() != 0) continue;
    runRank(*make(r, wait), transport);
    std::_Exit(0);
  }
  while (::wait(nullptr) > 0) {
  }
}

void overSharedMemory(uint32_t ranks) {
  const size_t bytes = Region::bytesFor(ranks, Region::kDefaultSlotBytes).value();
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) std::abort();
  const std::span memory(static_cast<std::byte*>(at), bytes);
  if (!Region::format(memory, ranks, Region::kDefaultSlotBytes).ok()) std::abort();
  runProcesses(ranks, "shm", [&](uint32_t rank, const WaitOptions& wait) {
    return std::move(sharedMemoryCommunicator(memory, rank, ranks, wait)).value();
  });
  ::munmap(at, bytes);
}

void overTcp(uint32_t ranks) {
  const auto soon = Clock::now() + std::chrono::seconds(10);
  const UniqueFd listener = std::move(launch::listenOn(0, true)).value();
  std::vector<std::vector<UniqueFd>> peers(ranks);
  for (auto& row : peers) row.resize(ranks);
  for (uint32_t r = 0; r < ranks; ++r) {
    for (uint32_t s = 0; s < r; ++s) {
      peers[r][s] = std::move(launch::connectTo(launch::ownAddress(listener.get()), soon)).value();
      if (!launch::waitFor(listener.get(), POLLIN, soon)) std::abort();
      peers[s][r].reset(::accept(listener.get(), nullptr, nullptr));
      const int one = 1;
      ::setsockopt(peers[s][r].get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
  }
  runProcesses(ranks, "tcp", [&](uint32_t rank, const WaitOptions& wait) {
    return tcpCommunicator(std::move(peers[rank]), rank, wait);
  });
}

void runGroup(uint32_t ranks) {
  overSharedMemory(ranks);
  overTcp(ranks);
}

}  // namespace

int main(int argc, char** argv) {
  std::printf("ranks  via  call          bytes         us   (%u cores)\n", launch::usableCores());
  std::fflush(stdout);
  if (argc < 2) {
    for (const uint32_t ranks : {2, 4, 8}) runGroup(ranks);
  }
  for (int i = 1; i < argc; ++i) runGroup(static_cast<uint32_t>(std::atoi(argv[i])));
}
