#include "runtime/text/jinja/characters.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>

#include <algorithm>

#include "runtime/text/utf8.h"

namespace dcc::jinja {
namespace {

bool isIn(char32_t c, uint32_t categories) {
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & categories) != 0;
}

bool isAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

bool hasNumericType(char32_t c, int32_t least) {
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE) >= least;
}

using Map = void(const char*, uint32_t, icu::StringPiece, icu::ByteSink&, icu::Edits*, UErrorCode&);

std::string mapped(std::string_view text, Map* map) {
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode status = U_ZERO_ERROR;
  // No locale: i is the small form of I everywhere.
  map("", 0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink, nullptr,
      status);
  return out;
}

bool isOfCase(std::string_view text, bool (*is)(char32_t), bool (*is_other)(char32_t)) {
  bool any = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = text::nextChar(text, at);
    if (is_other(c) || isTitle(c)) return false;
    any = any || is(c);
  }
  return any;
}

}  // namespace

bool isSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool isLineEnd(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool isPrintable(char32_t c) {
  if (c < 0x7F) return c >= 0x20;
  return !isIn(c, U_GC_C_MASK | U_GC_Z_MASK);
}

bool isAlpha(char32_t c) { return isIn(c, U_GC_L_MASK); }
bool isDecimal(char32_t c) { return isIn(c, U_GC_ND_MASK); }
bool isDigit(char32_t c) {
  const int32_t type = u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}
bool isNumeric(char32_t c) { return hasNumericType(c, U_NT_DECIMAL); }
bool isLower(char32_t c) { return u_isULowercase(static_cast<UChar32>(c)); }
bool isUpper(char32_t c) { return u_isUUppercase(static_cast<UChar32>(c)); }
bool isTitle(char32_t c) { return isIn(c, U_GC_LT_MASK); }

bool isLowerText(std::string_view text) { return isOfCase(text, isLower, isUpper); }
bool isUpperText(std::string_view text) { return isOfCase(text, isUpper, isLower); }

std::string upper(std::string_view text) {
  if (!isAscii(text)) return mapped(text, icu::CaseMap::utf8ToUpper);
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c;
  return out;
}

std::string lower(std::string_view text) {
  if (!isAscii(text)) return mapped(text, icu::CaseMap::utf8ToLower);
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 0x20) : c;
  return out;
}

std::string capitalize(std::string_view text) {
  if (text.empty()) return "";
  size_t end = 0;
  const char32_t first = text::nextChar(text, end);
  // Only what has a title case of several characters, as the sharp s, needs the upper case's start.
  std::string head;
  const auto title = static_cast<char32_t>(u_totitle(static_cast<UChar32>(first)));
  if (title != first) {
    text::appendUtf8(head, title);
  } else {
    const std::string all = upper(text.substr(0, end));
    size_t at = 0;
    text::appendUtf8(head, text::nextChar(all, at));
    head += lower(std::string_view(all).substr(at));
  }
  return head + lower(text.substr(end));
}

}  // namespace dcc::jinja
