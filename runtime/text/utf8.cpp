#include "runtime/text/utf8.h"

#include <cstring>

namespace dcc::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// What stands at the front of some bytes: a whole character, the beginning of one that ends with
// the text, or neither.
struct Front {
  enum Kind { kChar, kPrefix, kBroken } kind;
  size_t length;  // bytes of the character, of the prefix, or of the broken part (at least 1)
};

// The second byte's range depends on the first (no overlong forms, no surrogates, at most
// U+10FFFF); all further bytes are 80..BF.
Front readFront(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {Front::kChar, 1};
  if (lead < 0xC2 || lead > 0xF4) return {Front::kBroken, 1};
  const size_t length = utf8Length(lead);
  unsigned low = 0x80, high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Front::kPrefix, i};
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < low || byte > high) return {Front::kBroken, i};
    low = 0x80, high = 0xBF;
  }
  return {Front::kChar, length};
}

}  // namespace

bool isValidUtf8(std::string_view text) {
  size_t pos = 0;
  while (pos < text.size()) {
    // Eight ASCII bytes at a time: most text is mostly ASCII.
    uint64_t word;
    while (pos + sizeof word <= text.size()) {
      std::memcpy(&word, text.data() + pos, sizeof word);
      if (word & 0x8080808080808080u) break;
      pos += sizeof word;
    }
    if (pos == text.size()) break;
    const Front front = readFront(text.substr(pos));
    if (front.kind != Front::kChar) return false;
    pos += front.length;
  }
  return true;
}

void appendUtf8(std::string& out, char32_t c) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    tail(12), tail(6), tail(0);
  }
}

size_t countChars(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

void Utf8Repair::push(std::string_view bytes, std::string& out) {
  std::string joined;
  if (!pending_.empty()) {
    joined = std::move(pending_).append(bytes);
    pending_.clear();
    bytes = joined;
  }
  while (!bytes.empty()) {
    const Front front = readFront(bytes);
    if (front.kind == Front::kPrefix) {
      pending_.assign(bytes);
      return;
    }
    out += front.kind == Front::kChar ? bytes.substr(0, front.length) : kReplacement;
    bytes.remove_prefix(front.length);
  }
}

void Utf8Repair::finish(std::string& out) {
  if (!pending_.empty()) out += kReplacement;
  pending_.clear();
}

}  // namespace dcc::text
