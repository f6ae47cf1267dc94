// The merges of a byte-pair encoding, and their application to the symbols of a word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dcc::text {

// A pair of neighbouring symbols that becomes one; pairs with a lower rank go first.
struct Merge {
  uint32_t rank;
  int32_t id;  // of the new symbol
};

// Merges by pair of ids: a hash table with linear probing.
class MergeTable {
 public:
  void reserve(size_t count);  // call first; more than `count` pairs must not be added
  void add(int32_t left, int32_t right, Merge merge);  // replaces an earlier one of the pair

  const Merge* find(int32_t left, int32_t right) const {
    const uint64_t key = keyOf(left, right);
    for (size_t slot = slotOf(key); keys_[slot] != kFree; slot = (slot + 1) & mask_) {
      if (keys_[slot] == key) return &merges_[slot];
    }
    return nullptr;
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};  // ids are not negative
  static uint64_t keyOf(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  }
  // Fibonacci hashing: the top bits of the product depend on all bits of the key.
  size_t slotOf(uint64_t key) const { return (key * 0x9E3779B97F4A7C15u) >> shift_; }

  std::vector<uint64_t> keys_{kFree, kFree};
  std::vector<Merge> merges_{2};
  size_t mask_ = 1;
  int shift_ = 63;
};

// Applies merges to the symbols of a word, always the pair with the lowest rank, the leftmost of
// those, until none applies: O(n log n) for n symbols. One thread.
class Merger {
 public:
  explicit Merger(const MergeTable& table) : table_(table) {}
  void apply(std::vector<int32_t>& symbols);

 private:
  // Which pair to merge next is found by looking at all of them (a word is short), or by a heap.
  static constexpr size_t kShort = 32;
  void applyShort(std::vector<int32_t>& symbols);
  void applyLong(std::vector<int32_t>& symbols);

  const MergeTable& table_;
  std::vector<Merge> pairs_;
  std::vector<int32_t> previous_, next_;
};

}  // namespace dcc::text
