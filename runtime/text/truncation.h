// Where texts that are too long for a model are cut, as transformers' tokenizers do it.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/status.h"

namespace dcc::text {

struct Truncation {
  uint64_t most = UINT64_MAX;  // tokens, special ones included
  bool left = false;           // what is dropped is the beginning
};

// From `dir`'s tokenizer_config.json (model_max_length, truncation_side) and tokenizer.json
// (truncation.direction, where the former does not say); at most `longest`. Errors (user): damaged
// files and fields.
Result<Truncation> readTruncation(const std::string& dir, uint64_t longest);

}  // namespace dcc::text
