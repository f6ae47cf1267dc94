// Texts and numbers as a template writes them, which is as Python does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace dcc::jinja {

// \n, \x41, \u00e9, \101, ... as characters; a backslash before anything else stays. Errors: too
// few digits, no character of that number, \N{NAME}.
Result<std::string> unescape(std::string_view text);

// Characters of the number that `text` begins with, which is a digit.
size_t numberLength(std::string_view text, bool may_be_float, bool& is_float);

// 42, 0x2a, 0o52, 0b101010, without "_"; nothing where 64 bits don't hold it.
std::optional<int64_t> integerOf(std::string_view digits);

}  // namespace dcc::jinja
