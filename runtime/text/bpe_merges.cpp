#include "runtime/text/bpe_merges.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <queue>

namespace dcc::text {

void MergeTable::reserve(size_t count) {
  const size_t slots = std::bit_ceil(std::max<size_t>(2 * count, 2));
  keys_.assign(slots, kFree);
  merges_.assign(slots, Merge{});
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
}

void MergeTable::add(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = keyOf(left, right);
  size_t slot = slotOf(key);
  while (keys_[slot] != kFree && keys_[slot] != key) slot = (slot + 1) & mask_;
  keys_[slot] = key;
  merges_[slot] = merge;
}

void Merger::apply(std::vector<int32_t>& symbols) {
  if (symbols.size() <= kShort) {
    applyShort(symbols);
  } else {
    applyLong(symbols);
  }
}

void Merger::applyShort(std::vector<int32_t>& symbols) {
  constexpr Merge kNone = {UINT32_MAX, -1};
  const auto pairAt = [&](size_t i) {
    const Merge* merge = table_.find(symbols[i], symbols[i + 1]);
    return merge ? *merge : kNone;
  };
  pairs_.clear();
  for (size_t i = 0; i + 1 < symbols.size(); ++i) pairs_.push_back(pairAt(i));
  while (!pairs_.empty()) {
    const auto best =
        std::min_element(pairs_.begin(), pairs_.end(),
                         [](const Merge& a, const Merge& b) { return a.rank < b.rank; });
    if (best->id < 0) return;
    const auto i = static_cast<size_t>(best - pairs_.begin());
    symbols[i] = best->id;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(i) + 1);
    pairs_.erase(best);
    if (i > 0) pairs_[i - 1] = pairAt(i - 1);
    if (i < pairs_.size()) pairs_[i] = pairAt(i);
  }
}

void Merger::applyLong(std::vector<int32_t>& symbols) {
  const auto count = static_cast<int32_t>(symbols.size());
  // Symbols stay where they are; merged ones leave the chain and become -1.
  previous_.resize(symbols.size());
  next_.resize(symbols.size());
  for (int32_t i = 0; i < count; ++i) {
    previous_[static_cast<size_t>(i)] = i - 1;
    next_[static_cast<size_t>(i)] = i + 1;
  }
  // Rank and position of the left symbol in one number: the order of the merges. Entries of pairs
  // that are gone by now stay in the heap and are recognised by their rank.
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> queue;
  const auto pairAt = [&](int32_t i) -> const Merge* {
    const int32_t right = next_[static_cast<size_t>(i)];
    if (right >= count) return nullptr;
    return table_.find(symbols[static_cast<size_t>(i)], symbols[static_cast<size_t>(right)]);
  };
  const auto enqueue = [&](int32_t i) {
    if (const Merge* merge = pairAt(i)) {
      queue.push(static_cast<uint64_t>(merge->rank) << 32 | static_cast<uint32_t>(i));
    }
  };
  for (int32_t i = 0; i < count; ++i) enqueue(i);
  while (!queue.empty()) {
    const auto i = static_cast<int32_t>(queue.top() & UINT32_MAX);
    const auto rank = static_cast<uint32_t>(queue.top() >> 32);
    queue.pop();
    if (symbols[static_cast<size_t>(i)] < 0) continue;
    const Merge* merge = pairAt(i);
    if (!merge || merge->rank != rank) continue;
    const int32_t right = next_[static_cast<size_t>(i)];
    const int32_t behind = next_[static_cast<size_t>(right)];
    symbols[static_cast<size_t>(i)] = merge->id;
    symbols[static_cast<size_t>(right)] = -1;
    next_[static_cast<size_t>(i)] = behind;
    if (behind < count) previous_[static_cast<size_t>(behind)] = i;
    if (previous_[static_cast<size_t>(i)] >= 0) enqueue(previous_[static_cast<size_t>(i)]);
    enqueue(i);
  }
  std::erase(symbols, -1);
}

}  // namespace dcc::text
