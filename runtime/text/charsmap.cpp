#include "runtime/text/charsmap.h"

#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

uint32_t littleEndian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + i])) << 8 * i;
  }
  return value;
}

// A unit of the double array (Darts-clone): a node holds its label, whether a string ends at it,
// and the distance to its children; the child for label 0 holds the value.
bool hasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t value(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t label(uint32_t unit) { return unit & 0x800000FF; }
uint32_t offset(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view bytes) {
  if (bytes.size() < 4) return userError("is too short for a character map");
  const uint32_t size = littleEndian(bytes, 0);
  bytes.remove_prefix(4);
  if (size == 0 || size % 4 != 0 || size > bytes.size()) {
    return userError("says that its trie has " + std::to_string(size) + " bytes, but " +
                     std::to_string(bytes.size()) +
                     " follow; a multiple of 4 up to that is expected");
  }
  Charsmap map;
  map.units_.reserve(size / 4);
  for (size_t at = 0; at < size; at += 4) map.units_.push_back(littleEndian(bytes, at));
  map.replacements_ = bytes.substr(size);
  if (!isValidUtf8(map.replacements_)) return userError("has replacements that are not UTF-8");
  return map;
}

std::optional<std::string_view> Charsmap::find(std::string_view text) const {
  uint32_t node = offset(units_[0]);
  for (const char byte : text) {
    const auto c = static_cast<unsigned char>(byte);
    if (c == 0) return std::nullopt;
    node ^= c;
    if (node >= units_.size() || label(units_[node]) != c) return std::nullopt;
    const bool ends = hasLeaf(units_[node]);
    node ^= offset(units_[node]);
    if (!ends) continue;
    if (node >= units_.size()) return std::nullopt;
    const size_t begin = value(units_[node]);
    if (begin > replacements_.size()) return std::nullopt;
    // Where a broken file points into a character, nothing is replaced.
    if (begin < replacements_.size() &&
        (static_cast<unsigned char>(replacements_[begin]) & 0xC0) == 0x80) {
      return std::nullopt;
    }
    const size_t end = replacements_.find('\0', begin);
    return std::string_view(replacements_)
        .substr(begin, end == std::string::npos ? end : end - begin);
  }
  return std::nullopt;
}

std::optional<std::string> decodeBase64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    uint32_t digit;
    if (c >= 'A' && c <= 'Z') {
      digit = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      digit = static_cast<uint32_t>(c - 'a' + 26);
    } else if (c >= '0' && c <= '9') {
      digit = static_cast<uint32_t>(c - '0' + 52);
    } else if (c == '+' || c == '/') {
      digit = c == '+' ? 62 : 63;
    } else {
      return std::nullopt;
    }
    bits = bits << 6 | digit;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  if (count >= 6) return std::nullopt;  // a digit too many
  return out;
}

}  // namespace dcc::text
