#include "runtime/text/oniguruma_names.h"

#include <array>
#include <utility>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "runtime/text/oniguruma.h"

namespace dcc::text {
namespace {

// Oniguruma's long names of general categories, and the names that POSIX brackets share with \p{},
// all in lower case without '_', '-' and ' '.
constexpr std::array<std::pair<std::string_view, std::string_view>, 52> kNames = {{
    {"letter", "\\p{L}"},
    {"casedletter", "\\p{L&}"},
    {"uppercaseletter", "\\p{Lu}"},
    {"lowercaseletter", "\\p{Ll}"},
    {"titlecaseletter", "\\p{Lt}"},
    {"modifierletter", "\\p{Lm}"},
    {"otherletter", "\\p{Lo}"},
    {"mark", "\\p{M}"},
    {"nonspacingmark", "\\p{Mn}"},
    {"spacingmark", "\\p{Mc}"},
    {"enclosingmark", "\\p{Me}"},
    {"number", "\\p{N}"},
    {"decimalnumber", "\\p{Nd}"},
    {"letternumber", "\\p{Nl}"},
    {"othernumber", "\\p{No}"},
    {"punctuation", "\\p{P}"},
    {"connectorpunctuation", "\\p{Pc}"},
    {"dashpunctuation", "\\p{Pd}"},
    {"openpunctuation", "\\p{Ps}"},
    {"closepunctuation", "\\p{Pe}"},
    {"initialpunctuation", "\\p{Pi}"},
    {"finalpunctuation", "\\p{Pf}"},
    {"otherpunctuation", "\\p{Po}"},
    {"symbol", "\\p{S}"},
    {"mathsymbol", "\\p{Sm}"},
    {"currencysymbol", "\\p{Sc}"},
    {"modifiersymbol", "\\p{Sk}"},
    {"othersymbol", "\\p{So}"},
    {"separator", "\\p{Z}"},
    {"spaceseparator", "\\p{Zs}"},
    {"lineseparator", "\\p{Zl}"},
    {"paragraphseparator", "\\p{Zp}"},
    {"other", "\\p{C}"},
    {"control", "\\p{Cc}"},
    {"format", "\\p{Cf}"},
    {"surrogate", "\\p{Cs}"},
    {"privateuse", "\\p{Co}"},
    {"unassigned", "\\p{Cn}"},
    {"any", "\\x{0}-\\x{10ffff}"},
    {"ascii", "\\x{0}-\\x{7f}"},
    {"alpha", "\\p{Alphabetic}"},
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"digit", "\\p{Nd}"},
    {"lower", "\\p{Lowercase}"},
    {"upper", "\\p{Uppercase}"},
    {"blank", "\\x{9}\\p{Zs}"},
    {"space", kSpace},
    {"cntrl", "\\p{Cc}"},
    {"punct", kPunct},
    {"xdigit", kHex},
    {"word", kWord},
    {"l&", "\\p{L&}"},
}};

bool compiles(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

}  // namespace

Result<std::string> namedBody(std::string_view name) {
  std::string key;
  for (const char c : name) {
    if (c != '_' && c != '-' && c != ' ') key += c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
  }
  for (const auto& [long_name, body] : kNames) {
    if (key == long_name) return std::string(body);
  }
  // One or two letters are a general category; else it may be a script or a binary property.
  if (key.size() > 2) {
    const std::string script = "\\p{sc:" + key + "}";
    if (compiles(script)) return script;
  }
  if (!key.empty()) key[0] = key[0] >= 'a' && key[0] <= 'z' ? key[0] - ('a' - 'A') : key[0];
  const std::string plain = "\\p{" + key + "}";
  if (compiles(plain)) return plain;
  return userError("regular expression has the property '" + oneLine(name) +
                   "'; a general category, script or binary property is expected");
}

}  // namespace dcc::text
