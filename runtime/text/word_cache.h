// What words gave, remembered: texts repeat their words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dcc::text {

class WordCache {
 public:
  static constexpr size_t kLongestWord = 64;  // bytes; longer ones rarely repeat

  // Appends the ids of a word that is known; false when it is not.
  bool lookup(std::string_view word, std::vector<int32_t>& ids) const;
  // Remembers a word that is not known, while there is room.
  void insert(std::string_view word, std::span<const int32_t> ids);

 private:
  static constexpr size_t kMostWords = size_t{1} << 16;
  struct Entry {
    uint64_t hash = 0;
    uint32_t text = 0, ids = 0;      // offsets
    uint16_t length = 0, count = 0;  // length 0: free
  };
  size_t slotOf(std::string_view word, uint64_t hash) const;
  void grow();

  std::vector<Entry> slots_;
  size_t words_ = 0;
  std::string text_;
  std::vector<int32_t> ids_;
};

}  // namespace dcc::text
