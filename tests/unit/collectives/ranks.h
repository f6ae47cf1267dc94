// Ranks as threads: a group over plain memory, one thread per rank.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/collectives/shared_memory.h"

namespace dcc::test {

class Ranks {
 public:
  explicit Ranks(uint32_t size, size_t slot_bytes = Region::kDefaultSlotBytes,
                 const WaitOptions& options = {std::chrono::seconds(20), true}) {
    const size_t bytes = Region::bytesFor(size, slot_bytes).value();
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(Region::kAlignment, bytes)));
    span_ = {memory_.get(), bytes};
    EXPECT_TRUE(Region::format(span_, size, slot_bytes).ok());
    for (uint32_t r = 0; r < size; ++r) {
      comms_.push_back(std::move(sharedMemoryCommunicator(span_, r, size, options)).value());
    }
  }

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
