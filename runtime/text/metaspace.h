// Metaspace: SentencePiece's visible space, as pre-tokenizer and as decoder.
#pragma once

#include <string>

#include "runtime/base/json.h"
#include "runtime/base/status.h"

namespace dcc::text {

struct Metaspace {
  enum class Prepend { kNever, kFirst, kAlways };  // to no text, to the first piece, to each

  std::string replacement;  // one character, in UTF-8
  Prepend prepend = Prepend::kAlways;
  bool split = true;

  // Today's fields and those of old files (add_prefix_space instead of prepend_scheme).
  static Result<Metaspace> read(const JsonFields& spec);
};

}  // namespace dcc::text
