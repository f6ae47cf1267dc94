// A group of ranks that are threads of the test. The simplest thing that meets the contract.
#pragma once

#include <barrier>
#include <cstring>
#include <memory>
#include <vector>

#include "runtime/collectives/sum.h"

namespace dcc::testing {

class TestGroup {
 public:
  explicit TestGroup(uint32_t size) : barrier_(size), inputs_(size) {
    for (uint32_t r = 0; r < size; ++r) ranks_.push_back(std::make_unique<Rank>(*this, r));
  }
  Communicator* rank(uint32_t r) { return ranks_[r].get(); }
  // The n-th collective from now (0: the next) fails on all ranks.
  void failAt(int n) {
    for (auto& rank : ranks_) rank->fails_in = n;
  }

 private:
  class Rank final : public Communicator {
   public:
    Rank(TestGroup& group, uint32_t rank) : group_(group), rank_(rank) {}

    uint32_t rank() const override { return rank_; }
    uint32_t size() const override { return static_cast<uint32_t>(group_.inputs_.size()); }

    Status allReduceSum(const float* in, float* out, size_t count, SumOrder order) override {
      return sumRange(in, out, 0, count, count, order);
    }
    Status allGather(const void* in, void* out, std::span<const size_t> bytes) override {
      return exchange(in, bytes[rank_], [&] {
        auto* to = static_cast<std::byte*>(out);
        for (uint32_t r = 0; r < size(); ++r) {
          if (bytes[r] > 0) std::memcpy(to, group_.inputs_[r], bytes[r]);
          to += bytes[r];
        }
      });
    }
    Status reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                            SumOrder order) override {
      size_t first = 0, all = 0;
      for (uint32_t r = 0; r < size(); ++r) {
        if (r < rank_) first += counts[r];
        all += counts[r];
      }
      return sumRange(in, out, first, counts[rank_], all, order);
    }
    Status allToAll(const void* in, void* out, std::span<const size_t> bytes) override {
      size_t sent = 0;
      for (uint32_t r = 0; r < size(); ++r) sent += bytes[rank_ * size() + r];
      return exchange(in, sent, [&] {
        auto* to = static_cast<std::byte*>(out);
        for (uint32_t r = 0; r < size(); ++r) {
          const std::byte* from = group_.inputs_[r];
          for (uint32_t j = 0; j < rank_; ++j) from += bytes[r * size() + j];
          const size_t n = bytes[r * size() + rank_];
          if (n > 0) std::memcpy(to, from, n);
          to += n;
        }
      });
    }
    Status broadcast(void*, size_t, uint32_t) override { return runtimeError("not used"); }
    Status barrier() override { return runtimeError("not used"); }
    Result<std::unique_ptr<Communicator>> split(std::span<const std::vector<uint32_t>>) override {
      return runtimeError("not used");
    }
    void abort(const Error&) override {}
    std::optional<GroupError> firstError() const override { return std::nullopt; }
    Traffic traffic() const override { return {}; }

    int fails_in = -1;

   private:
    // Sums elements [first, first + count) of the ranks' inputs.
    Status sumRange(const float* in, float* out, size_t first, size_t count, size_t all,
                    SumOrder order) {
      return exchange(in, all * sizeof(float), [&] {
        std::vector<const float*> parts;
        for (const std::byte* input : group_.inputs_) {
          parts.push_back(reinterpret_cast<const float*>(input) + first);
        }
        sum(parts, order, out, count);
      });
    }
    // Inputs are copied: an output may be the same memory.
    template <class Combine>
    Status exchange(const void* in, size_t bytes, Combine combine) {
      if (fails_in == 0) return runtimeError("rank 1 is gone");
      if (fails_in > 0) --fails_in;
      const auto* from = static_cast<const std::byte*>(in);
      copy_.assign(from, from + bytes);
      group_.inputs_[rank_] = copy_.data();
      group_.barrier_.arrive_and_wait();
      combine();
      group_.barrier_.arrive_and_wait();
      return Status::success();
    }

    TestGroup& group_;
    uint32_t rank_;
    std::vector<std::byte> copy_;
  };

  std::barrier<> barrier_;
  std::vector<const std::byte*> inputs_;
  std::vector<std::unique_ptr<Rank>> ranks_;
};

}  // namespace dcc::testing
