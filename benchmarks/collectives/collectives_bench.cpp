// Barrier and all-reduce among processes of this machine, over shared memory and over TCP, and what
// the network itself takes for there and back. With --listen and --connect, of two processes that
// may be on two hosts.
//
//   collectives_bench [RANKS]...      by default 2, 4 and 8
//   collectives_bench --listen PORT
//   collectives_bench --connect HOST PORT
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
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

// Microseconds for `bytes` to the other process and as many back, as rank 0 sees it.
double measurePing(int fd, uint32_t rank, size_t bytes) {
  std::vector<std::byte> data(bytes);
  const auto move = [&](auto call) {
    for (size_t done = 0; done < bytes;) {
      const ssize_t n = call(fd, data.data() + done, bytes - done, MSG_DONTWAIT);
      if (n > 0) done += static_cast<size_t>(n);
      if (n == 0 || (n < 0 && errno != EAGAIN)) std::abort();
    }
  };
  double best = 1e30;
  for (int round = 0; round < 2000; ++round) {
    const auto start = Clock::now();
    if (rank == 0) move(::send);
    move(::recv);
    if (rank != 0) move(::send);
    best = std::min(best, std::chrono::duration<double, std::micro>(Clock::now() - start).count());
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
      launch::sendAtOnce(peers[s][r].get());
    }
  }
  runProcesses(ranks, "tcp", [&](uint32_t rank, const WaitOptions& wait) {
    return tcpCommunicator(std::move(peers[rank]), rank, wait);
  });
}

// One of two processes, connected by `fd`.
void runPair(UniqueFd fd, uint32_t rank) {
  for (const size_t bytes : {4096, 65536}) {
    const double us = measurePing(fd.get(), rank, bytes);
    if (rank == 0) std::printf("    2  tcp  there+back %8zu  %9.2f\n", bytes, us);
  }
  std::vector<UniqueFd> peers(2);
  peers[1 - rank] = std::move(fd);
  runRank(*tcpCommunicator(std::move(peers), rank, {}), "tcp");
}

int listen(uint16_t port) {
  const UniqueFd listener = std::move(launch::listenOn(port)).value();
  if (!launch::waitFor(listener.get(), POLLIN, Clock::now() + std::chrono::seconds(60))) return 1;
  UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK));
  launch::sendAtOnce(fd.get());
  runPair(std::move(fd), 0);
  return 0;
}

int connect(const std::string& host, uint16_t port) {
  auto fd = launch::connectTo(host, port, Clock::now() + std::chrono::seconds(60));
  if (!fd.ok()) {
    std::fprintf(stderr, "error: %s\n", fd.error().message.c_str());
    return 1;
  }
  runPair(std::move(*fd), 1);
  return 0;
}

void runGroup(uint32_t ranks) {
  overSharedMemory(ranks);
  overTcp(ranks);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto port = [&] {
    return static_cast<uint16_t>(std::strtol(arguments.back().c_str(), nullptr, 10));
  };
  if (arguments.size() == 3 && arguments[0] == "--connect") return connect(arguments[1], port());
  std::printf("ranks  via  call          bytes         us   (%u cores)\n", launch::usableCores());
  std::fflush(stdout);
  if (arguments.size() == 2 && arguments[0] == "--listen") return listen(port());
  if (argc < 2) {
    for (const uint32_t ranks : {2, 4, 8}) runGroup(ranks);
  }
  for (int i = 1; i < argc; ++i) runGroup(static_cast<uint32_t>(std::strtol(argv[i], nullptr, 10)));
}
