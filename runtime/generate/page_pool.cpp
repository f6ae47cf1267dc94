#include "runtime/generate/page_pool.h"

#include <algorithm>
#include <functional>

#include "runtime/base/checked.h"

namespace dcc::generate {

PagePool::PagePool(std::vector<PageGroupLimits> groups, uint32_t max_chunk)
    : groups_(std::move(groups)), max_chunk_(max_chunk), free_(groups_.size()) {
  for (size_t g = 0; g < groups_.size(); ++g) {
    const auto pages = static_cast<int32_t>(std::min<uint64_t>(groups_[g].pages, INT32_MAX));
    for (int32_t page = pages; page-- > 0;) free_[g].push_back(page);
  }
}

uint64_t PagePool::needed(const PageGroupLimits& group, uint64_t tokens) const {
  const uint64_t all = ceilDiv<uint64_t>(tokens, group.tokens_per_page);
  if (group.window == 0) return all;
  // While a chunk is processed, its tokens and the window before its first one are needed; wherever
  // they begin within a page.
  const uint64_t live = std::min<uint64_t>(group.window, INT64_MAX) - 1 + max_chunk_;
  return std::min(all, ceilDiv<uint64_t>(live - 1, group.tokens_per_page) + 1);
}

uint64_t PagePool::capacity() const {
  uint64_t least = UINT64_MAX;
  for (const PageGroupLimits& group : groups_) {
    if (needed(group, UINT64_MAX) <= group.pages) continue;  // the window's pages are enough
    const auto tokens = checkedMul<uint64_t>(group.pages, group.tokens_per_page);
    least = std::min(least, tokens.value_or(UINT64_MAX));
  }
  return least;
}

std::vector<uint64_t> PagePool::mostTaken(std::vector<uint64_t> lengths, size_t at_once) const {
  std::ranges::sort(lengths, std::greater());
  lengths.resize(std::min(lengths.size(), at_once));
  std::vector<uint64_t> pages;
  for (const PageGroupLimits& group : groups_) {
    uint64_t& taken = pages.emplace_back();
    for (const uint64_t length : lengths) {
      taken = std::min(group.pages, taken + std::min(group.pages, needed(group, length)));
    }
  }
  return pages;
}

std::optional<SequencePages> PagePool::acquire(uint64_t tokens) {
  for (size_t g = 0; g < groups_.size(); ++g) {
    if (needed(groups_[g], tokens) > free_[g].size()) return std::nullopt;
  }
  SequencePages pages(groups_.size());
  for (size_t g = 0; g < groups_.size(); ++g) {
    const auto count = static_cast<ptrdiff_t>(needed(groups_[g], tokens));
    pages[g].assign(free_[g].rbegin(), free_[g].rbegin() + count);
    free_[g].resize(free_[g].size() - pages[g].size());
  }
  return pages;
}

void PagePool::release(const SequencePages& pages) {
  for (size_t g = 0; g < groups_.size(); ++g) {
    free_[g].insert(free_[g].end(), pages[g].rbegin(), pages[g].rend());
  }
}

}  // namespace dcc::generate
