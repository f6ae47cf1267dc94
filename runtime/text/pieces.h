// A text on its way through the pre-tokenizers: the pieces it was cut into so far.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace dcc::text {

struct Piece {
  std::string_view text;  // lives in the caller's text or in a buffer of Pieces
  int32_t id = -1;        // an added token: complete, not to be touched
  bool at_start = false;  // the text that is encoded begins with it
};

class Pieces {
 public:
  const std::vector<Piece>& list() const { return list_; }
  void add(const Piece& piece) {
    if (!piece.text.empty()) list_.push_back(piece);
  }

  // A part of a piece, as it stands.
  void addPart(const Piece& piece, size_t begin, size_t end) {
    add({piece.text.substr(begin, end - begin), -1, piece.at_start && begin == 0});
  }

  // Memory for changed texts that lives as long as this object. What is appended beyond `capacity`
  // bytes would move it: views into it are taken only within.
  std::string& newBuffer(size_t capacity) {
    buffers_.emplace_back().reserve(capacity);
    return buffers_.back();
  }

  // Replaces each piece that is no added token by what `cut(piece, *this)` adds for it. `cut`
  // returns a Status; the first error ends it.
  template <class Cut>
  auto split(Cut&& cut) -> decltype(cut(std::declval<const Piece&>(), *this)) {
    std::vector<Piece> before;
    before.swap(list_);
    list_.reserve(before.size());
    for (const Piece& piece : before) {
      if (piece.id >= 0) {
        list_.push_back(piece);
      } else if (auto status = cut(piece, *this); !status.ok()) {
        return status;
      }
    }
    return {};
  }

  // Bytes of all pieces that are no added tokens.
  size_t bytes() const {
    size_t total = 0;
    for (const Piece& piece : list_) total += piece.id >= 0 ? 0 : piece.text.size();
    return total;
  }

 private:
  std::vector<Piece> list_;
  std::deque<std::string> buffers_;
};

}  // namespace dcc::text
