// UTF-8: validation, code points, and repair of broken bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dcc::text {

bool isValidUtf8(std::string_view text);

// Bytes of the character whose first byte is `lead` (in valid UTF-8).
constexpr size_t utf8Length(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

// The code point at text[pos], which must be the first byte of a character of valid UTF-8; `pos`
// moves behind it.
inline char32_t nextChar(std::string_view text, size_t& pos) {
  const auto byte = [&](size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[pos + i]));
  };
  const char32_t lead = byte(0);
  const size_t length = utf8Length(static_cast<unsigned char>(lead));
  char32_t c = lead;
  if (length == 2) c = (lead & 0x1F) << 6 | (byte(1) & 0x3F);
  if (length == 3) c = (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  if (length == 4) {
    c = (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  }
  pos += length;
  return c;
}

// The code point before text[pos], pos > 0, which must be a boundary of valid UTF-8; `pos` moves to
// its first byte.
inline char32_t previousChar(std::string_view text, size_t& pos) {
  do {
    --pos;
  } while ((static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80);
  size_t at = pos;
  return nextChar(text, at);
}

void appendUtf8(std::string& out, char32_t c);

// Code points of valid UTF-8.
size_t countChars(std::string_view text);

// Turns a stream of bytes into valid UTF-8. What is not UTF-8 becomes U+FFFD, one for each longest
// prefix of a character (Unicode's "substitution of maximal subparts"). The beginning of a
// character whose rest may still come is held back.
class Utf8Repair {
 public:
  void push(std::string_view bytes, std::string& out);
  void finish(std::string& out);  // what was held back becomes U+FFFD

 private:
  std::string pending_;  // at most 3 bytes: a proper prefix of some character
};

}  // namespace dcc::text
