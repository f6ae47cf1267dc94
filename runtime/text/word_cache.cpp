#include "runtime/text/word_cache.h"

#include <functional>

namespace dcc::text {

size_t WordCache::slotOf(std::string_view word, uint64_t hash) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask;
  while (true) {
    const Entry& entry = slots_[slot];
    if (entry.length == 0) return slot;
    if (entry.hash == hash && std::string_view(text_).substr(entry.text, entry.length) == word) {
      return slot;
    }
    slot = (slot + 1) & mask;
  }
}

bool WordCache::lookup(std::string_view word, std::vector<int32_t>& ids) const {
  if (slots_.empty() || word.empty() || word.size() > kLongestWord) return false;
  const Entry& entry = slots_[slotOf(word, std::hash<std::string_view>()(word))];
  if (entry.length == 0) return false;
  ids.insert(ids.end(), ids_.begin() + entry.ids, ids_.begin() + entry.ids + entry.count);
  return true;
}

void WordCache::insert(std::string_view word, std::span<const int32_t> ids) {
  // A byte gives at most one token, but an odd vocabulary may give a word more than its bytes.
  if (word.empty() || word.size() > kLongestWord || words_ >= kMostWords ||
      ids.size() > UINT16_MAX) {
    return;
  }
  if (2 * (words_ + 1) > slots_.size()) grow();
  const uint64_t hash = std::hash<std::string_view>()(word);
  Entry& entry = slots_[slotOf(word, hash)];
  if (entry.length != 0) return;
  entry = {hash, static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(ids_.size()),
           static_cast<uint16_t>(word.size()), static_cast<uint16_t>(ids.size())};
  text_ += word;
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  ++words_;
}

void WordCache::grow() {
  std::vector<Entry> before(slots_.empty() ? 256 : slots_.size() * 2);
  before.swap(slots_);
  for (const Entry& entry : before) {
    if (entry.length == 0) continue;
    slots_[slotOf(std::string_view(text_).substr(entry.text, entry.length), entry.hash)] = entry;
  }
}

}  // namespace dcc::text
