// Oniguruma's regular expressions in PCRE2's syntax.
//
// The `tokenizers` library compiles the expressions of tokenizer.json with Oniguruma; most real
// ones mean the same to PCRE2 (with UTF and UCP), but not all parts do:
//
//   \s          White_Space; PCRE2's also matches U+180E
//   \w \b       word characters include marks and all connector punctuation
//   \h \v       a hexadecimal digit, a vertical tab; in PCRE2 classes of white space
//   \uHHHH      a code point; an error in PCRE2
//   \p{Han}     the script; in PCRE2 the script extensions. Long names (\p{Letter}) exist
//   [a[bc]]     classes nest, and [a&&[^b]] intersects; in PCRE2 '[' is literal inside a class
//   (?m)        the dot matches line breaks; ^ and $ match at line breaks anyhow
//   a(?i)b|c    means a(?i:b|c)
//   x{1,3}+     repeats x{1,3}; in PCRE2 it is possessive
//   x{,3}       x{0,3}; in PCRE2 (10.42) literal text
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace dcc::text {

// `pattern` is valid UTF-8. Errors (user) say what is not supported, without a name in front.
Result<std::string> onigurumaToPcre2(std::string_view pattern);

// The text with control characters escaped and its length bounded, for a message.
std::string oneLine(std::string_view text);

}  // namespace dcc::text
