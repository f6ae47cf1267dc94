// Characters as Python's str sees them.
#pragma once

#include <string>
#include <string_view>

namespace dcc::jinja {

bool isSpace(char32_t c);      // str.isspace, and \s of regular expressions
bool isLineEnd(char32_t c);    // str.splitlines
bool isPrintable(char32_t c);  // str.isprintable
bool isAlpha(char32_t c);
bool isDecimal(char32_t c);
bool isDigit(char32_t c);
bool isNumeric(char32_t c);
bool isLower(char32_t c);
bool isUpper(char32_t c);
bool isTitle(char32_t c);
inline bool isWord(char32_t c) { return isAlpha(c) || isNumeric(c) || c == '_'; }

// str.islower, str.isupper: there are letters with a case, and all are of this one.
bool isLowerText(std::string_view text);
bool isUpperText(std::string_view text);

// Of the whole text: letters may become several, and the last sigma of a word is another.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
// The first character in title case, the others in lower case.
std::string capitalize(std::string_view text);

}  // namespace dcc::jinja
