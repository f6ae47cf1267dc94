// Properties of characters, as the `tokenizers` library knows them.
#pragma once

namespace dcc::text {

bool isWhiteSpace(char32_t c);  // White_Space
bool isNumeric(char32_t c);     // categories Nd, Nl, No
// Alphabetic, marks, Nd, Pc, Join_Control: \w of Rust's regular expressions.
bool isWord(char32_t c);

}  // namespace dcc::text
