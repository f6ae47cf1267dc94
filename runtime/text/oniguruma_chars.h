// The parts of an Oniguruma expression that match one character: escapes, properties, classes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace dcc::text {

// One code point, or a set given as the body of a PCRE2 class: what stands between the brackets.
struct CharItem {
  std::optional<char32_t> point;
  std::string body;
  bool negated = false;
};

// A code point as PCRE2 takes it anywhere.
std::string codePointText(char32_t c);

// Reads an expression from its front. Errors (user) say what is wrong, without a name in front.
class CharReader {
 protected:
  explicit CharReader(std::string_view pattern) : in_(pattern) {}

  static Error error(const std::string& what);
  bool at(std::string_view text) const { return in_.substr(pos_).starts_with(text); }

  // An escape that stands for one character; in_[pos_] is the backslash.
  Result<CharItem> escapedItem();
  // A class behind its '[' up to and with its ']', as an expression of PCRE2. A class is an
  // intersection of unions.
  Result<std::string> characterClass(int depth = 0);

  std::string_view in_;
  size_t pos_ = 0;

 private:
  struct ClassUnion;
  Result<CharItem> numericPoint();
  Result<CharItem> property();
  Status nested(ClassUnion& part, int depth);
  Status classItem(ClassUnion& part);
  Result<CharItem> classPoint();
};

bool isAsciiLetter(char c);

}  // namespace dcc::text
