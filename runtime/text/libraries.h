// What tokenizers stand on, as it is at run time.
#pragma once

#include <string>

namespace dcc::text {

std::string icuVersion();    // "72.1"
std::string pcre2Version();  // "10.42"

}  // namespace dcc::text
