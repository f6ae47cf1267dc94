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

class Tokenizer {
 public:
  // Errors (user) name the file and what is wrong or not supported.
  static Result<Tokenizer> fromFile(const std::string& path);
  static Result<Tokenizer> fromJson(std::string_view json, const std::string& name);

  // `special`: added tokens of the post-processor (begin-of-sequence, ...) as `tokenizers`'
  // add_special_tokens. Text that is not UTF-8 is an error.
  Result<std::vector<int32_t>> encode(std::string_view text, bool special = true) const;
  // Ids out of range are skipped.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;
  int32_t idOf(std::string_view token) const;  // -1: none
  size_t vocabSize() const;                    // highest id + 1

  struct Impl;

 private:
  std::shared_ptr<const Impl> impl_;
};

// Decoding while tokens arrive: what push() returns, joined, is decode() of all tokens, and never
// ends in the middle of a character.
class TextStream {
 public:
  explicit TextStream(Tokenizer tokenizer, bool skip_special = true);
  std::string push(int32_t id);
  std::string finish();  // what is still held back (replacement characters for broken bytes)

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  std::vector<int32_t> ids_;
  size_t prefix_ = 0, read_ = 0;
};

}  // namespace dcc::text
