// Added tokens of tokenizer.json: strings that are found in the text before anything else cuts it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/base/json.h"
#include "runtime/base/status.h"
#include "runtime/text/byte_trie.h"
#include "runtime/text/pieces.h"
#include "runtime/text/vocabulary.h"

namespace dcc::text {

class Normalizer;

struct AddedToken {
  std::string content;
  int32_t id = -1;
  bool single_word = false;  // not next to a word character
  bool lstrip = false;       // takes white space on its left with it
  bool rstrip = false;
  bool normalized = true;  // is found in the normalized text, as its own normalized form
  bool special = false;    // is left out when decoding without special tokens
  std::string form;        // what is searched for, and what decoders see
  bool skipped = false;  // when decoding without special tokens: the form is that of a special one
};

class AddedTokens {
 public:
  // `list` is the value of "added_tokens". Errors (user) begin with `where`: an id that is not the
  // model's for a token that it has, or that does not go on from the model's ids without a hole.
  static Result<AddedTokens> read(const nlohmann::json& list, const std::string& where,
                                  const Vocabulary& vocabulary, const Normalizer* normalizer);

  // Cuts the tokens with this value of `normalized` out of a text, in the order they are found:
  // always the leftmost, the longest of those.
  void extract(const Piece& piece, bool normalized, Pieces& out) const;

  const AddedToken* byId(int32_t id) const;
  int32_t idOf(std::string_view content) const;      // -1: none
  int32_t highestId() const { return highest_id_; }  // -1: no tokens

 private:
  const ByteTrie& trie(bool normalized) const { return normalized ? normalized_ : exact_; }

  std::vector<AddedToken> tokens_;
  std::unordered_map<int32_t, size_t> by_id_;
  std::unordered_map<std::string, size_t> by_content_;
  ByteTrie exact_, normalized_;  // values: places in tokens_
  int32_t highest_id_ = -1;
};

}  // namespace dcc::text
