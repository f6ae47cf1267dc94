#include "runtime/text/jinja/literals.h"

#include <charconv>

#include "runtime/text/utf8.h"

namespace dcc::jinja {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isOctal(char c) { return c >= '0' && c <= '7'; }
bool isBinary(char c) { return c == '0' || c == '1'; }
bool isHex(char c) { return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// The end of digits from `at` on, each but the first with an optional "_" before it.
size_t digits(std::string_view text, size_t at, bool (*is)(char), bool first_too = false) {
  for (bool first = true;; first = false) {
    size_t next = at;
    if ((!first || first_too) && next < text.size() && text[next] == '_') ++next;
    if (next >= text.size() || !is(text[next])) return at;
    at = next + 1;
  }
}

std::optional<char32_t> code(std::string_view digits, int base) {
  uint32_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return value;
}

Status addCharacter(char32_t c, std::string& out) {
  if (c >= 0xD800 && c < 0xE000) return userError("half a surrogate pair in a text");
  if (c > 0x10FFFF) return userError("no character has the number of an escape");
  text::appendUtf8(out, c);
  return Status::success();
}

}  // namespace

Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '\\') {
      out += text[at++];
      continue;
    }
    ++at;  // the lexer has seen that something follows
    const char c = text[at];
    constexpr std::string_view kLetters = "abfnrtv\\'\"";
    constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t letter = kLetters.find(c); letter != kLetters.npos) {
      out += kMeanings[letter];
      ++at;
    } else if (c == '\n') {
      ++at;
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      const std::optional<char32_t> number = code(text.substr(at + 1, count), 16);
      if (text.size() - at - 1 < count || !number) {
        return userError(std::string("\\") + c + " without " + std::to_string(count) +
                         " hex digits in a text");
      }
      DCC_RETURN_IF_ERROR(addCharacter(*number, out));
      at += 1 + count;
    } else if (isOctal(c)) {
      size_t end = at;
      while (end < text.size() && end < at + 3 && isOctal(text[end])) ++end;
      DCC_RETURN_IF_ERROR(addCharacter(*code(text.substr(at, end - at), 8), out));
      at = end;
    } else if (c == 'N') {
      return userError("\\N{...} in a text is not supported; the character itself is right");
    } else {
      out += '\\';
      if (static_cast<unsigned char>(c) < 0x80) continue;
      // Jinja has made ASCII of it before: what is left is the name of the character.
      const char32_t number = text::nextChar(text, at);
      char name[16];
      const auto end = std::to_chars(name, name + sizeof(name), static_cast<uint32_t>(number), 16);
      const std::string hex(name, end.ptr);
      const size_t width = number < 0x100 ? 2 : number < 0x10000 ? 4 : 8;
      out += width == 2 ? 'x' : width == 4 ? 'u' : 'U';
      out += std::string(width - hex.size(), '0') + hex;
    }
  }
  return out;
}

size_t numberLength(std::string_view text, bool may_be_float, bool& is_float) {
  const size_t whole = digits(text, 0, isDigit);
  if (may_be_float) {
    size_t end = whole;
    if (end + 1 < text.size() && text[end] == '.' && isDigit(text[end + 1])) {
      end = digits(text, end + 1, isDigit);
    }
    if (end < text.size() && (text[end] | 0x20) == 'e') {
      const bool sign = end + 1 < text.size() && (text[end + 1] == '+' || text[end + 1] == '-');
      const size_t first = end + (sign ? 2 : 1);
      if (first < text.size() && isDigit(text[first])) end = digits(text, first, isDigit);
    }
    is_float = end > whole;
    if (is_float) return end;
  }
  if (text[0] != '0') return whole;
  const char base = text.size() > 1 ? static_cast<char>(text[1] | 0x20) : '\0';
  auto* const is = base == 'x' ? isHex : base == 'o' ? isOctal : base == 'b' ? isBinary : nullptr;
  if (is != nullptr) {
    if (const size_t end = digits(text, 2, is, true); end > 2) return end;
  }
  return digits(text, 0, [](char c) { return c == '0'; });
}

std::optional<int64_t> integerOf(std::string_view digits) {
  int base = 10;
  if (digits.size() > 2 && digits[0] == '0' && !isDigit(digits[1])) {
    const char c = static_cast<char>(digits[1] | 0x20);
    base = c == 'x' ? 16 : c == 'o' ? 8 : 2;
    digits.remove_prefix(2);
  }
  int64_t value = 0;
  const auto end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value, base);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

}  // namespace dcc::jinja
