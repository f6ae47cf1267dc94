#include "frontends/graph/key_lines.h"

#include <vector>

namespace dcc::graph {
namespace {

using nlohmann::json;

// Walks over the text and the document side by side. The text is known to be valid, so that
// quotes, brackets and commas are all there is to look at.
class Scanner {
 public:
  Scanner(std::string_view text, const json& document) : text_(text), next_(&document) {}

  KeyLines scan() {
    for (; at_ < text_.size(); ++at_) {
      switch (text_[at_]) {
        case '\n':
          ++line_;
          break;
        case '"':
          string();
          break;
        case '{':
        case '[':
          element();
          open_.push_back({next_, 0});
          break;
        case '}':
        case ']':
          open_.pop_back();
          break;
        case ' ':
        case '\t':
        case '\r':
        case ',':
        case ':':
          break;
        default:  // a number, true, false or null
          element();
          at_ = text_.find_first_of(" \t\r\n,]}", at_);
          if (at_ == text_.npos) return std::move(lines_);
          --at_;
      }
    }
    return std::move(lines_);
  }

 private:
  struct Container {
    const json* value;
    size_t elements;  // of an array, seen so far
  };

  // From one quote to the other; a string before a colon is a key.
  void string() {
    const size_t begin = at_++;
    for (; text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\';
    const size_t after = text_.find_first_not_of(" \t\r\n", at_ + 1);
    if (after == text_.npos || text_[after] != ':') return element();
    const json key = json::parse(text_.substr(begin, at_ + 1 - begin));
    next_ = &*open_.back().value->find(key.get_ref<const std::string&>());
    lines_.emplace(next_, line_);
  }

  // A value begins. A field's is next_ since its key.
  void element() {
    if (open_.empty() || !open_.back().value->is_array()) return;
    Container& array = open_.back();
    next_ = &(*array.value)[array.elements++];
    lines_.emplace(next_, line_);
  }

  std::string_view text_;
  size_t at_ = 0, line_ = 1;
  const json* next_;             // the value that begins next, or has just begun
  std::vector<Container> open_;  // what we are inside of
  KeyLines lines_;
};

}  // namespace

KeyLines keyLines(std::string_view text, const json& document) {
  return Scanner(text, document).scan();
}

}  // namespace dcc::graph
