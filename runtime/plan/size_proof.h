// Equalities between sizes that hold in every step of an entry.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "runtime/plan/size_analysis.h"

namespace dcc::plan {

// An expression of one plan's pool.
struct SizeRef {
  const SizeAnalysis* sizes;
  uint32_t node;
  auto operator<=>(const SizeRef&) const = default;
};

// Normal forms settle most questions. What they can't show, such as that the shares of an uneven
// cut add up to the whole, is tried for every value of the variables up to the bounds: a proof
// too, as there are few. Questions that would take too long are answered with no.
class SizeProof {
 public:
  // The bounds of an entry, at which the ranges of all sizes that are asked for are known to exist.
  explicit SizeProof(std::span<const int64_t> bounds) : bounds_(bounds.begin(), bounds.end()) {}

  // The analyses share their atoms.
  bool equal(SizeRef a, SizeRef b) { return sumEquals({&a, 1}, b); }
  // The sum of `parts` equals `whole`.
  bool sumEquals(std::span<const SizeRef> parts, SizeRef whole);

 private:
  bool tryAll(std::span<const SizeRef> parts, SizeRef whole);

  std::vector<int64_t> bounds_;
  uint64_t budget_ = uint64_t{1} << 24;  // evaluations of a node
  std::map<std::vector<SizeRef>, bool> tried_;
};

}  // namespace dcc::plan
