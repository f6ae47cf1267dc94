// SentencePiece's precompiled character map: a list of replacements, as a double-array trie.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"

namespace dcc::text {

class Charsmap {
 public:
  // From the bytes that tokenizer.json holds in base64: the trie's size (u32, little endian), its
  // units (u32 each), then the replacements, each ended by a zero byte. Error (user) without a name
  // in front.
  static Result<Charsmap> parse(std::string_view bytes);

  // The replacement of the shortest entry that `text` begins with; nothing when there is none. (Not
  // the longest: what `tokenizers` does, and what the models were trained with.)
  std::optional<std::string_view> find(std::string_view text) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;
};

// The bytes of standard base64; nothing when it is broken.
std::optional<std::string> decodeBase64(std::string_view text);

}  // namespace dcc::text
