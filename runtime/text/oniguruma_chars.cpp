#include "runtime/text/oniguruma_chars.h"

#include <cstdio>
#include <vector>

#include "runtime/text/oniguruma_names.h"
#include "runtime/text/utf8.h"

namespace dcc::text {

// A class as a union: a body for PCRE2's brackets and expressions that match one character each
// (what PCRE2's brackets can't say).
struct CharReader::ClassUnion {
  std::string body;
  std::vector<std::string> others;

  std::string expression() const {
    if (others.empty()) return "[" + body + "]";
    std::string out = "(?:";
    if (!body.empty()) out += "[" + body + "]|";
    for (size_t i = 0; i < others.size(); ++i) out += (i ? "|" : "") + others[i];
    return out + ")";
  }

  void addSet(const std::string& set, bool negated) {
    if (negated) {
      others.push_back("[^" + set + "]");
    } else {
      body += set;
    }
  }
};

Error CharReader::error(const std::string& what) {
  return userError("regular expression " + what + "; Oniguruma's syntax is expected");
}

// An escape that stands for one character, in a class or outside; in_[pos_] is the backslash.
Result<CharItem> CharReader::escapedItem() {
  ++pos_;
  if (pos_ >= in_.size()) return error("ends with a backslash");
  const char c = in_[pos_];
  const auto set = [&](std::string_view body, bool negated) {
    ++pos_;
    return CharItem{std::nullopt, std::string(body), negated};
  };
  const auto point = [&](char32_t value) {
    ++pos_;
    return CharItem{value, "", false};
  };
  switch (c) {
    case 's':
    case 'S':
      return set(kSpace, c == 'S');
    case 'w':
    case 'W':
      return set(kWord, c == 'W');
    case 'd':
    case 'D':
      return set("\\p{Nd}", c == 'D');
    case 'h':
    case 'H':
      return set(kHex, c == 'H');
    case 'p':
    case 'P':
      return property();
    case 'a':
      return point(0x07);
    case 'b':
      return point(0x08);
    case 't':
      return point(0x09);
    case 'n':
      return point(0x0A);
    case 'v':
      return point(0x0B);
    case 'f':
      return point(0x0C);
    case 'r':
      return point(0x0D);
    case 'e':
      return point(0x1B);
    case '0':
      return point(0);
    case 'x':
    case 'u':
      return numericPoint();
    default:
      break;
  }
  if (isAsciiLetter(c) || (c >= '1' && c <= '9')) {
    return error(std::string("has \\") + c + ", which is not supported");
  }
  return CharItem{nextChar(in_, pos_), "", false};
}

// \xHH (ASCII), \x{H...}, \uHHHH
Result<CharItem> CharReader::numericPoint() {
  const bool braces = at("x{");
  const size_t most = braces ? 8 : in_[pos_] == 'u' ? 4 : 2;
  const bool is_byte = !braces && in_[pos_] == 'x';
  pos_ += braces ? 2 : 1;
  char32_t value = 0;
  size_t digits = 0;
  for (; digits < most && pos_ < in_.size(); ++digits, ++pos_) {
    const char c = in_[pos_];
    if (c >= '0' && c <= '9') {
      value = value * 16 + static_cast<char32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value * 16 + static_cast<char32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      value = value * 16 + static_cast<char32_t>(c - 'A' + 10);
    } else {
      break;
    }
  }
  if (digits == 0 || (!braces && !is_byte && digits < most)) {
    return error("has \\x or \\u without its hexadecimal digits");
  }
  if (braces) {
    if (!at("}")) return error("has a \\x{ that is not closed");
    ++pos_;
  }
  if (is_byte && value >= 0x80) return error("has a byte above \\x7F, which is not supported");
  if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
    return error("has a number that is no Unicode character");
  }
  return CharItem{value, "", false};
}

// p{Name}, P{Name}, p{^Name}; in_[pos_] is the p.
Result<CharItem> CharReader::property() {
  bool negated = in_[pos_] == 'P';
  ++pos_;
  const size_t end = in_.find('}', pos_);
  if (!at("{") || end == std::string_view::npos) return error("has \\p without {Name}");
  std::string_view name = in_.substr(pos_ + 1, end - pos_ - 1);
  pos_ = end + 1;
  if (name.starts_with('^')) {
    negated = !negated;
    name.remove_prefix(1);
  }
  DCC_ASSIGN(std::string body, namedBody(name));
  return CharItem{std::nullopt, std::move(body), negated};
}

// A class behind its '[' up to and with its ']'. A class is an intersection of unions.
Result<std::string> CharReader::characterClass(int depth) {
  if (depth > 32) return error("has classes nested too deeply");
  const bool negated = at("^");
  if (negated) ++pos_;
  std::vector<ClassUnion> parts(1);
  bool first = true;
  while (!(at("]") && !first)) {
    if (pos_ >= in_.size()) return error("has a '[' that is not closed");
    if (at("&&")) {
      pos_ += 2;
      parts.emplace_back();
    } else if (at("[")) {
      ++pos_;
      DCC_RETURN_IF_ERROR(nested(parts.back(), depth));
    } else {
      DCC_RETURN_IF_ERROR(classItem(parts.back()));
    }
    first = false;
  }
  ++pos_;
  for (const ClassUnion& part : parts) {
    if (part.body.empty() && part.others.empty()) return error("has an empty class");
  }
  if (parts.size() == 1 && parts[0].others.empty()) {
    return (negated ? "[^" : "[") + parts[0].body + "]";
  }
  std::string all = parts.back().expression();
  for (size_t i = parts.size() - 1; i-- > 0;) all = "(?=" + parts[i].expression() + ")" + all;
  return negated ? "(?:(?!" + all + ")(?s:.))" : "(?:" + all + ")";
}

// What follows a '[' in a class: a POSIX bracket or a class.
Status CharReader::nested(ClassUnion& part, int depth) {
  if (at(":")) {
    const size_t end = in_.find(":]", pos_ + 1);
    if (end != std::string_view::npos) {
      std::string_view name = in_.substr(pos_ + 1, end - pos_ - 1);
      const bool negated = name.starts_with('^');
      if (negated) name.remove_prefix(1);
      DCC_ASSIGN(const std::string body, namedBody(name));
      pos_ = end + 2;
      part.addSet(body, negated);
      return Status::success();
    }
  }
  Result<std::string> inner = characterClass(depth + 1);
  if (!inner.ok()) return inner.error();
  // A plain class joins the brackets around it.
  if (inner->starts_with("[") && !inner->starts_with("[^")) {
    part.body.append(*inner, 1, inner->size() - 2);
  } else {
    part.others.push_back(std::move(*inner));
  }
  return Status::success();
}

// A character, a range, or an escaped set.
Status CharReader::classItem(ClassUnion& part) {
  DCC_ASSIGN(const CharItem low, classPoint());
  if (!low.point) {
    part.addSet(low.body, low.negated);
    return Status::success();
  }
  part.body += codePointText(*low.point);
  // A '-' is literal before ']', and before a set.
  if (!at("-") || at("-]") || at("-[") || pos_ + 1 >= in_.size()) return Status::success();
  ++pos_;
  DCC_ASSIGN(const CharItem high, classPoint());
  if (!high.point) {
    part.body += codePointText('-');
    part.addSet(high.body, high.negated);
    return Status::success();
  }
  if (*high.point < *low.point) return error("has a range that runs backwards");
  part.body += "-" + codePointText(*high.point);
  return Status::success();
}

Result<CharItem> CharReader::classPoint() {
  if (at("\\")) return escapedItem();
  return CharItem{nextChar(in_, pos_), "", false};
}

std::string codePointText(char32_t c) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, "\\x{%x}", static_cast<unsigned>(c));
  return buffer;
}

bool isAsciiLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace dcc::text
