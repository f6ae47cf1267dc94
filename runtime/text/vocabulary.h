// The tokens of a model: id to string and back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/json.h"
#include "runtime/base/status.h"

namespace dcc::text {

class Vocabulary {
 public:
  // From an object of token to id, the field `key` of `spec`. Error (user) unless the ids are 0 to
  // n - 1, each once.
  static Result<Vocabulary> read(const JsonFields& spec, std::string_view key);

  // The next id. A token may be added twice: find() then gives the later id.
  void add(std::string_view token);

  int32_t find(std::string_view token) const;  // -1: none
  std::string_view token(int32_t id) const {   // 0 <= id < size()
    const size_t begin = id == 0 ? 0 : ends_[static_cast<size_t>(id) - 1];
    return std::string_view(text_).substr(begin, ends_[static_cast<size_t>(id)] - begin);
  }
  int32_t size() const { return static_cast<int32_t>(ends_.size()); }

 private:
  size_t slotOf(std::string_view token) const;  // its slot, or the free one where it belongs
  void grow();

  std::string text_;            // all tokens, one behind the other
  std::vector<uint64_t> ends_;  // per id, in text_
  std::vector<int32_t> slots_;  // hash table of ids with linear probing; -1 is free
};

}  // namespace dcc::text
