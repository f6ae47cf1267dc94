// Digests of what ops compute, for comparing runs whose values differ in their last bits: two
// degrees, two builds, two backends.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/plan/plan.h"

namespace dcc {

// Of one matrix. Those of its parts add up to that of the whole, but for `largest`, of which the
// whole has the largest.
struct Digest {
  int64_t rows = 0, cols = 0;
  double sum = 0, squares = 0;  // of all elements, and of their squares
  double largest = 0;           // absolute value; NaN where an element is NaN
};

Digest digestOf(const std::byte* data, DType dtype, int64_t rows, int64_t cols, int64_t stride);

// Keeps the digests of a step's results, in the order in which its instructions write them.
class Digests final : public Observer {
 public:
  // One result of an entry's instructions.
  struct Result {
    uint32_t instruction;
    uint32_t buffer;
    bool partial;  // a rank's part of a sum
  };

  // `plan` outlives the object.
  explicit Digests(const plan::fb::Plan& plan);

  Asks asks(uint32_t, uint32_t) const override { return Asks::kValues; }
  Status ran(const Ran& ran) override;

  // What digests() are of, once all instructions of an entry have run.
  std::span<const Result> results(uint32_t entry) const { return results_[entry]; }
  std::span<const Digest> digests() const { return digests_; }
  void clear() { digests_.clear(); }

 private:
  const plan::fb::Plan& plan_;
  std::vector<std::vector<Result>> results_;  // per entry
  std::vector<Digest> digests_;
};

}  // namespace dcc
