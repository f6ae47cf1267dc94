#include "runtime/text/byte_alphabet.h"

#include <array>

#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

constexpr bool standsForItself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

constexpr unsigned kFirstOther = 0x100;
constexpr unsigned kEnd = 0x144;

struct Tables {
  std::array<uint16_t, 256> char_of{};
  std::array<int16_t, kEnd> byte_of{};  // -1: not of the alphabet
};

constexpr Tables makeTables() {
  Tables tables;
  tables.byte_of.fill(-1);
  unsigned next = kFirstOther;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const unsigned c = standsForItself(byte) ? byte : next++;
    tables.char_of[byte] = static_cast<uint16_t>(c);
    tables.byte_of[c] = static_cast<int16_t>(byte);
  }
  return tables;
}

constexpr Tables kTables = makeTables();

}  // namespace

void appendByteAlphabet(std::string_view text, std::string& out) {
  for (const char byte : text) {
    const char32_t c = kTables.char_of[static_cast<unsigned char>(byte)];
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else {
      out += static_cast<char>(0xC0 | c >> 6);
      out += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
}

bool bytesOfAlphabet(std::string_view text, std::string& out) {
  const size_t before = out.size();
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = nextChar(text, pos);
    if (c >= kEnd || kTables.byte_of[c] < 0) {
      out.resize(before);
      return false;
    }
    out += static_cast<char>(kTables.byte_of[c]);
  }
  return true;
}

}  // namespace dcc::text
