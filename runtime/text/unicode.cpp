#include "runtime/text/unicode.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/uscript.h>

#include <algorithm>

#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

bool hasCategory(char32_t c, uint32_t mask) {
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & mask) != 0;
}

// Whether Unicode had the character in this major version.
bool isIn(char32_t c, int version) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] > 0 && age[0] <= version;
}

}  // namespace

bool isWhiteSpace(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D);
  return u_isUWhiteSpace(static_cast<UChar32>(c));
}

bool isNumeric(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return hasCategory(c, U_GC_N_MASK);
}

bool isWord(char32_t c) {
  if (c < 0x80) return (c | 0x20) - 'a' < 26 || c - '0' < 10 || c == '_';
  const auto point = static_cast<UChar32>(c);
  return u_isUAlphabetic(point) || hasCategory(c, U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK) ||
         u_hasBinaryProperty(point, UCHAR_JOIN_CONTROL);
}

bool isPunctuation(char32_t c) {
  if (c < 0x80) return c > 0x20 && c < 0x7F && !((c | 0x20) - 'a' < 26 || c - '0' < 10);
  // Two that later versions count as a symbol and as a mark.
  if (c == 0x166D || c == 0x111C9) return true;
  return hasCategory(c, U_GC_P_MASK) && isIn(c, 8);
}

bool isControl(char32_t c) {
  if (c < 0x80) return c < 0x20 || c == 0x7F;
  return hasCategory(c, U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK) && isIn(c, 8);
}

bool isNonspacingMark(char32_t c) {
  if (c < 0x300) return false;
  if (c == 0x1734) return true;
  if (c == 0x1885 || c == 0x1886 || c == 0xA9BD || c == 0x111C9) return false;
  return hasCategory(c, U_GC_MN_MASK) && isIn(c, 8);
}

bool isMark(char32_t c) {
  if (c < 0x300) return false;
  if (c == 0x1CF2 || c == 0x1CF3) return true;
  if (c == 0x111C9) return false;
  return hasCategory(c, U_GC_M_MASK) && isIn(c, 9);
}

int scriptOf(char32_t c) {
  if (!isIn(c, 9)) return 0;
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &status);
  return script == USCRIPT_UNKNOWN ? 0 : 1 + script;
}

void appendLowercase(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  } else if (c == 0x130) {
    out += "i\xCC\x87";
  } else {
    appendUtf8(out, static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
  }
}

std::string normalForm(NormalForm form, std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; })) {
    return std::string(text);  // ASCII is in every form
  }
  // Immutable once made, and shared by all threads.
  static const icu::UnicodeSet* const unicode11 = [] {
    UErrorCode status = U_ZERO_ERROR;
    auto* set = new icu::UnicodeSet(u"[:age=11.0:]", status);
    set->freeze();
    return set;
  }();
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* all = nullptr;
  switch (form) {
    case NormalForm::kNfc:
      all = icu::Normalizer2::getNFCInstance(status);
      break;
    case NormalForm::kNfd:
      all = icu::Normalizer2::getNFDInstance(status);
      break;
    case NormalForm::kNfkc:
      all = icu::Normalizer2::getNFKCInstance(status);
      break;
    case NormalForm::kNfkd:
      all = icu::Normalizer2::getNFKDInstance(status);
      break;
  }
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  icu::StringByteSink<std::string> sink(&out);
  if (U_SUCCESS(status)) {
    const icu::FilteredNormalizer2 filtered(*all, *unicode11);
    filtered.normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())),
                           sink, nullptr, status);
  }
  return out;
}

}  // namespace dcc::text
