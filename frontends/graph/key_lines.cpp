#include "frontends/graph/key_lines.h"

#include <nlohmann/json.hpp>
#include <vector>

namespace dcc::graph {
namespace {

// The text is known to be valid, so that quotes, braces and colons are all there is to look at.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::map<std::string, size_t> scan() {
    for (; at_ < text_.size(); ++at_) {
      switch (text_[at_]) {
        case '\n':
          ++line_;
          break;
        case '"':
          string();
          break;
        case '{':
          parents_.push_back(last_key_);
          break;
        case '}':
          parents_.pop_back();
          break;
        case '[':
          ++arrays_;
          break;
        case ']':
          --arrays_;
          break;
      }
    }
    return std::move(lines_);
  }

 private:
  // From one quote to the other; a string before a colon is a key.
  void string() {
    size_t begin = at_++;
    for (; text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\';
    size_t next = text_.find_first_not_of(" \t\r\n", at_ + 1);
    if (arrays_ > 0 || next == text_.npos || text_[next] != ':') return;
    nlohmann::json key = nlohmann::json::parse(text_.substr(begin, at_ + 1 - begin));
    nlohmann::json::json_pointer pointer(parents_.back());
    pointer.push_back(key.get<std::string>());
    last_key_ = pointer.to_string();
    lines_.emplace(last_key_, line_);
  }

  std::string_view text_;
  size_t at_ = 0, line_ = 1;
  int arrays_ = 0;                    // how many we are inside of
  std::string last_key_;              // pointer of the last key seen; "" for the document
  std::vector<std::string> parents_;  // pointers of the objects we are inside of
  std::map<std::string, size_t> lines_;
};

}  // namespace

std::map<std::string, size_t> keyLines(std::string_view text) { return Scanner(text).scan(); }

}  // namespace dcc::graph
