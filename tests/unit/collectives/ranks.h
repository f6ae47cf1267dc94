// Ranks as threads: a group over plain memory or over TCP on this host, one thread per rank.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "runtime/collectives/shared_memory.h"
#include "runtime/collectives/tcp.h"

namespace dcc::test {

// A TCP connection to ourselves.
inline std::pair<UniqueFd, UniqueFd> tcpPair() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const auto any = reinterpret_cast<sockaddr*>(&address);
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM, 0)), a(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(::bind(listener.get(), any, size), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), any, &size), 0);
  EXPECT_EQ(::connect(a.get(), any, size), 0);
  UniqueFd b(::accept(listener.get(), nullptr, nullptr));
  for (const int fd : {a.get(), b.get()}) {
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  }
  return {std::move(a), std::move(b)};
}

enum class Transport { kSharedMemory, kTcp };

class Ranks {
 public:
  explicit Ranks(uint32_t size, size_t slot_bytes = Region::kDefaultSlotBytes,
                 const WaitOptions& options = {std::chrono::seconds(20), true}) {
    const size_t bytes = Region::bytesWithParts(size, slot_bytes).value();
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(Region::kAlignment, bytes)));
    span_ = {memory_.get(), bytes};
    EXPECT_TRUE(Region::format(span_, size, slot_bytes).ok());
    for (uint32_t r = 0; r < size; ++r) {
      comms_.push_back(std::move(sharedMemoryCommunicator(span_, r, size, options)).value());
    }
  }

  // `slot_bytes` matters to shared memory only.
  Ranks(Transport transport, uint32_t size, size_t slot_bytes = Region::kDefaultSlotBytes,
        const WaitOptions& options = {std::chrono::seconds(20), true})
      : Ranks(size, slot_bytes, options) {
    if (transport == Transport::kSharedMemory) return;
    std::vector<std::vector<UniqueFd>> peers(size);
    for (auto& row : peers) row.resize(size);
    for (uint32_t r = 0; r < size; ++r) {
      for (uint32_t s = 0; s < r; ++s) std::tie(peers[r][s], peers[s][r]) = tcpPair();
    }
    for (uint32_t r = 0; r < size; ++r) {
      comms_[r] = tcpCommunicator(std::move(peers[r]), r, options);
    }
  }

  Communicator& operator[](uint32_t rank) { return *comms_[rank]; }
  // Lets go of a rank's communicator, as its death would.
  void drop(uint32_t rank) { comms_[rank].reset(); }

  Region region() const { return Region::open(span_).value(); }

  // Runs `body` as every rank and returns what each returned. A rank that fails aborts the group.
  std::vector<Status> run(const std::function<Status(Communicator&)>& body) {
    std::vector<Status> results(comms_.size());
    std::vector<std::thread> threads;
    for (auto& comm : comms_) {
      threads.emplace_back([&body, &comm = *comm, &result = results[comm->rank()]] {
        result = body(comm);
        if (!result.ok()) comm.abort(result.error());
      });
    }
    for (std::thread& t : threads) t.join();
    return results;
  }

  // run(), where every rank must succeed.
  void mustRun(const std::function<Status(Communicator&)>& body) {
    for (const Status& status : run(body)) {
      EXPECT_TRUE(status.ok()) << status.error().message;
    }
  }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::span<std::byte> span_;
  std::vector<std::unique_ptr<Communicator>> comms_;
};

}  // namespace dcc::test
