// Hashes of what collectives give all ranks alike: the sums of all_reduce and the wholes of
// all_gather. Ranks compare them to find out that one has gone its own way (drun --verify-ranks).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/plan/plan.h"

namespace dcc {

class ResultHashes final : public Observer {
 public:
  // `plan` outlives the object.
  explicit ResultHashes(const plan::fb::Plan& plan);

  Asks asks(uint32_t entry, uint32_t instruction) const override;
  Status ran(const Ran& ran) override;

  // The instructions of an entry whose results all ranks have alike, in their order, and once they
  // have run the hashes of what they gave: of its bits, row after row.
  std::span<const uint32_t> instructions(uint32_t entry) const { return shared_[entry]; }
  std::span<const uint64_t> hashes() const { return hashes_; }
  // Before a step.
  void clear() { hashes_.clear(); }

 private:
  const plan::fb::Plan& plan_;
  std::vector<std::vector<uint32_t>> shared_;  // per entry
  std::vector<uint64_t> hashes_;               // of the step so far
};

// The matrix that a collective writes, where it lies.
struct CollectiveResult {
  std::byte* data;
  int64_t rows;
  size_t row_bytes, stride_bytes;
};
// `entry` and `collective` are of a verified plan, sizes and arena those of Ran.
CollectiveResult resultOf(const plan::fb::Entry& entry, const plan::fb::Collective& collective,
                          std::span<const int64_t> sizes, std::byte* arena);

}  // namespace dcc
