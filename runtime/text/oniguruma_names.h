// Sets of characters by name, as bodies of PCRE2's classes: what stands between the brackets.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace dcc::text {

constexpr std::string_view kSpace = "\\x{9}-\\x{d}\\x{85}\\p{Z}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr std::string_view kHex = "0-9A-Fa-f";
constexpr std::string_view kPunct = "\\p{P}\\p{S}";
// Outside classes Oniguruma has a table of its own for Latin-1, in which six more numbers are
// words.
constexpr std::string_view kBareWord =
    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";

// The set of \p{name} or [:name:]: a general category, a script or a binary property, short or
// long. Error (user) without a name in front when there is none.
Result<std::string> namedBody(std::string_view name);

}  // namespace dcc::text
