#include "runtime/text/jinja/lexer.h"

#include <algorithm>
#include <array>

#include "runtime/base/printable.h"
#include "runtime/text/jinja/characters.h"
#include "runtime/text/jinja/literals.h"
#include "runtime/text/jinja/text.h"
#include "runtime/text/utf8.h"

namespace dcc::jinja {
namespace {

// Longest first.
constexpr std::array<std::string_view, 26> kOperators = {
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
    "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// Line ends are \n, and one at the end of the template is none of its text.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)), rest_(source_) {}

  Result<std::vector<Token>> run() {
    while (!rest_.empty()) DCC_RETURN_IF_ERROR(data());
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

  uint32_t line() const { return line_; }

 private:
  // Text up to the next tag, and the tag.
  Status data() {
    size_t tag = 0;
    while (
        tag + 1 < rest_.size() &&
        (rest_[tag] != '{' || std::string_view("%{#").find(rest_[tag + 1]) == std::string::npos)) {
      ++tag;
    }
    if (tag + 1 >= rest_.size()) {
      addData(rest_);
      skip(rest_.size());
      return Status::success();
    }
    const char kind = rest_[tag + 1];
    const size_t sign = std::min(tag + 2, rest_.size());
    const char control =
        sign < rest_.size() && (rest_[sign] == '-' || rest_[sign] == '+') ? rest_[sign] : '\0';
    addData(before(rest_.substr(0, tag), control, kind != '{'));
    skip(tag);
    const uint32_t begin = line_;
    skip(2);
    if (control != '\0') skip(1);
    if (kind == '#') return comment(begin);
    if (kind == '%' && skipRaw()) return raw(begin);
    add(kind == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, "");
    return code(kind == '{' ? "}}" : "%}");
  }

  // What remains of the text before a tag.
  std::string_view before(std::string_view text, char control, bool block) const {
    if (control == '-') return strip(text, Side::kRight);
    if (control == '+' || !block) return text;
    // A tag that is the first of its line: what is before it there is dropped.
    const size_t newline = text.rfind('\n');
    if (newline == text.npos && !line_starts_) return text;
    const size_t start = newline == text.npos ? 0 : newline + 1;
    return strip(text.substr(start), Side::kLeft).empty() ? text.substr(0, start) : text;
  }

  Status comment(uint32_t begin) {
    const size_t end = rest_.find("#}");
    if (end == rest_.npos) return error(begin, "a comment has no end; #} is right");
    const bool strips = end > 0 && rest_[end - 1] == '-', keeps = end > 0 && rest_[end - 1] == '+';
    skip(end + 2);
    afterTag(strips, !keeps);
    return Status::success();
  }

  // Behind a tag: all white space, or the end of the line.
  void afterTag(bool strips, bool trims) {
    if (strips) {
      skip(rest_.size() - strip(rest_, Side::kLeft).size());
    } else if (trims && !rest_.empty() && rest_[0] == '\n') {
      skip(1);
    }
  }

  // "raw %}" after "{%".
  bool skipRaw() {
    std::string_view at = strip(rest_, Side::kLeft);
    if (at.substr(0, 3) != "raw") return false;
    at = strip(at.substr(3), Side::kLeft);
    const bool strips = at.substr(0, 3) == "-%}";
    if (!strips && at.substr(0, 2) != "%}") return false;
    skip(rest_.size() - at.size() + (strips ? 3 : 2));
    afterTag(strips, false);
    return true;
  }

  Status raw(uint32_t begin) {
    for (size_t tag = rest_.find("{%"); tag != rest_.npos; tag = rest_.find("{%", tag + 1)) {
      std::string_view at = rest_.substr(tag + 2);
      const char control = !at.empty() && (at[0] == '-' || at[0] == '+') ? at[0] : '\0';
      if (control != '\0') at.remove_prefix(1);
      at = strip(at, Side::kLeft);
      if (at.substr(0, 6) != "endraw") continue;
      at = strip(at.substr(6), Side::kLeft);
      const char end = !at.empty() && (at[0] == '-' || at[0] == '+') ? at[0] : '\0';
      if (end != '\0') at.remove_prefix(1);
      if (at.substr(0, 2) != "%}") continue;
      addData(before(rest_.substr(0, tag), control, true));
      skip(rest_.size() - at.size() + 2);
      afterTag(end == '-', end != '+');
      return Status::success();
    }
    return error(begin, "a raw block has no end; {% endraw %} is right");
  }

  // The inside of a tag, to its end.
  Status code(std::string_view end) {
    std::string brackets;
    while (!rest_.empty()) {
      if (brackets.empty() && atEnd(end)) return Status::success();
      const size_t space = rest_.size() - strip(rest_, Side::kLeft).size();
      if (space > 0) {
        skip(space);
      } else if (isNameStart(rest_[0])) {
        name();
      } else if (rest_[0] >= '0' && rest_[0] <= '9') {
        number();
      } else if (rest_[0] == '\'' || rest_[0] == '"') {
        DCC_RETURN_IF_ERROR(string());
      } else {
        DCC_RETURN_IF_ERROR(operatorToken(brackets));
      }
    }
    return error(line_, "a tag has no end; " + std::string(end) + " is right");
  }

  bool atEnd(std::string_view end) {
    const bool sign = rest_[0] == '-' || (rest_[0] == '+' && end == "%}");
    if (rest_.substr(sign ? 1 : 0, 2) != end) return false;
    const char control = sign ? rest_[0] : '\0';
    add(end == "%}" ? TokenKind::kBlockEnd : TokenKind::kVariableEnd, "");
    skip(sign ? 3 : 2);
    afterTag(control == '-', end == "%}" && control == '\0');
    return true;
  }

  void name() {
    size_t n = 1;
    while (n < rest_.size() && (isNameStart(rest_[n]) || (rest_[n] >= '0' && rest_[n] <= '9'))) ++n;
    add(TokenKind::kName, std::string(rest_.substr(0, n)));
    skip(n);
  }

  void number() {
    // In "a.0.1" there is no float.
    const bool may_be_float = source_[source_.size() - rest_.size() - 1] != '.';
    bool is_float = false;
    const size_t n = numberLength(rest_, may_be_float, is_float);
    std::string digits(rest_.substr(0, n));
    digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
    add(is_float ? TokenKind::kFloat : TokenKind::kInteger, digits);
    skip(n);
  }

  Status string() {
    size_t n = 1;
    while (n < rest_.size() && rest_[n] != rest_[0]) n += rest_[n] == '\\' ? 2 : 1;
    if (n >= rest_.size()) return error(line_, "a text has no end; a closing quote is right");
    Result<std::string> text = unescape(rest_.substr(1, n - 1));
    if (!text.ok()) return text.error();
    add(TokenKind::kString, std::move(text).value());
    skip(n + 1);
    return Status::success();
  }

  Status operatorToken(std::string& brackets) {
    const auto* found =
        std::find_if(kOperators.begin(), kOperators.end(),
                     [&](std::string_view one) { return rest_.substr(0, one.size()) == one; });
    if (found == kOperators.end()) {
      const size_t n = text::utf8Length(static_cast<unsigned char>(rest_[0]));
      return error(line_, "unexpected \"" + printable(rest_.substr(0, n)) + "\"");
    }
    const char c = rest_[0];
    if (c == '(' || c == '[' || c == '{') brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty()) return error(line_, std::string("unexpected '") + c + "'");
      if (brackets.back() != c) {
        return error(line_,
                     std::string("unexpected '") + c + "', expected '" + brackets.back() + "'");
      }
      brackets.pop_back();
    }
    add(TokenKind::kOperator, std::string(*found));
    skip(found->size());
    return Status::success();
  }

  void skip(size_t n) {
    line_ += static_cast<uint32_t>(std::count(rest_.begin(), rest_.begin() + n, '\n'));
    if (n > 0) line_starts_ = rest_[n - 1] == '\n';
    rest_.remove_prefix(n);
  }

  void addData(std::string_view text) {
    if (!text.empty()) add(TokenKind::kData, std::string(text));
  }

  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  Error error(uint32_t line, std::string what) {
    line_ = line;
    return userError(std::move(what));
  }

  const std::string source_;
  std::string_view rest_;
  uint32_t line_ = 1;
  bool line_starts_ = true;  // nothing of the line has been read
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source, uint32_t& line) {
  Lexer lexer(source);
  Result<std::vector<Token>> tokens = lexer.run();
  line = lexer.line();
  return tokens;
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kData:
      return "text";
    case TokenKind::kVariableBegin:
      return "{{";
    case TokenKind::kVariableEnd:
      return "}}";
    case TokenKind::kBlockBegin:
      return "{%";
    case TokenKind::kBlockEnd:
      return "%}";
    case TokenKind::kEnd:
      return "the end of the template";
    case TokenKind::kString:
      return "\"" + printable(token.text, 40) + "\"";
    default:
      return "'" + printable(token.text, 40) + "'";
  }
}

}  // namespace dcc::jinja
