// Text from files, fit for a one-line message or a dump.
#pragma once

#include <string>
#include <string_view>

namespace dcc {

// `text` with control characters as \n, \t, \x1b; at most `longest` bytes, then "...". Names from a
// damaged or hostile file can then neither break the line nor drive the terminal.
inline std::string printable(std::string_view text, size_t longest = 200) {
  std::string out;
  for (unsigned char c : text) {
    if (out.size() >= longest) return out + "...";
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7f) {
      out += "\\x";
      out += "0123456789abcdef"[c >> 4];
      out += "0123456789abcdef"[c & 15];
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

}  // namespace dcc
