// How a model's tokens become one vector, as sentence-transformers writes it beside config.json:
// modules.json lists the parts, 1_Pooling/config.json says how, sentence_bert_config.json how long
// a text may be.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/base/status.h"

namespace dcc::huggingface {

struct SentencePooling {
  std::string how;          // "first", "mean"
  bool normalizes = false;  // to length 1
  int64_t longest = 0;      // tokens; 0: the model's
};

// Nothing where there is no modules.json beside `config`, a path. Errors (user) name the file: a
// part, or a way to pool, that is not supported.
Result<std::optional<SentencePooling>> readSentencePooling(const std::string& config);

}  // namespace dcc::huggingface
