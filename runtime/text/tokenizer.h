// Text to token ids and back, as the `tokenizers` library does it from tokenizer.json.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"

namespace dcc::text {

// Immutable and cheap to copy: copies share everything. May be used by several threads at once.
class Tokenizer {
 public:
  // Errors (user) name the file, the field, and what is wrong or not supported. Truncation and
  // padding that a file asks for are ignored.
  static Result<Tokenizer> fromFile(const std::string& path);
  static Result<Tokenizer> fromJson(std::string_view json, const std::string& name);

  // `special`: added tokens of the post-processor (begin-of-sequence, ...) as `tokenizers`'
  // add_special_tokens. Errors (user): text that is not UTF-8 or 1 GiB or more, a regular
  // expression of the file that backtracks without end, a character that the file has no token for.
  // The time is linear in the text's length, up to a logarithm.
  Result<std::vector<int32_t>> encode(std::string_view text, bool special = true) const;
  // The same of at most `most` tokens with the special ones: of a longer text the last tokens are
  // left out, or with `left` the first; `dropped` says how many.
  Result<std::vector<int32_t>> encodeAtMost(std::string_view text, uint64_t most, bool left,
                                            uint64_t& dropped) const;
  // Ids out of range are skipped. Always valid UTF-8: broken bytes become U+FFFD.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;
  int32_t idOf(std::string_view token) const;  // -1: none
  size_t vocabSize() const;                    // highest id + 1

  struct Impl;

 private:
  Result<std::vector<int32_t>> tokens(std::string_view text) const;
  friend class TextStream;
  std::shared_ptr<const Impl> impl_;
};

// Decoding while tokens arrive: what push() returns, joined, is decode() of all tokens, and never
// ends in the middle of a character.
class TextStream {
 public:
  explicit TextStream(Tokenizer tokenizer, bool skip_special = true);
  ~TextStream();
  TextStream(TextStream&&) noexcept;
  TextStream& operator=(TextStream&&) noexcept;

  // The text that is certain with this token: often its own, sometimes none (the bytes of a
  // character are not complete) or that of several.
  std::string push(int32_t id);
  std::string finish();  // what is still held back (replacement characters for broken bytes)

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dcc::text
