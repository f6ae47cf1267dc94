// GPT-2's alphabet: a printable character for every byte, so that text can be cut into tokens of
// any bytes and each token still be a string. ASCII without the space, and most of Latin-1, stand
// for themselves; the other 68 bytes are U+0100 to U+0143 in order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dcc::text {

// Each byte of `text` as its character, in UTF-8 (at most two bytes each).
void appendByteAlphabet(std::string_view text, std::string& out);

// The bytes that the characters stand for; false, with `out` unchanged, when one is not of the
// alphabet.
bool bytesOfAlphabet(std::string_view text, std::string& out);

}  // namespace dcc::text
