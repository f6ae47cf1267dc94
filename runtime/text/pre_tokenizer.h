// Pre-tokenizers of tokenizer.json: they cut a text into words for the model, and may change them.
#pragma once

#include <memory>

#include "runtime/base/json.h"
#include "runtime/base/status.h"
#include "runtime/text/pieces.h"

namespace dcc::text {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Pieces are valid UTF-8, before and after. May run in several threads at once.
  virtual Status apply(Pieces& pieces) const = 0;
};

// `spec` is the value of "pre_tokenizer". Errors (user) begin with `where`.
Result<std::unique_ptr<PreTokenizer>> makePreTokenizer(const nlohmann::json& spec,
                                                       const std::string& where);

// One file per kind; makePreTokenizer chooses.
Result<std::unique_ptr<PreTokenizer>> makeByteLevel(const JsonFields& spec);
Result<std::unique_ptr<PreTokenizer>> makeSplit(const JsonFields& spec);
Result<std::unique_ptr<PreTokenizer>> makeMetaspace(const JsonFields& spec);
// Null when the type is none of those that cut by classes of characters.
Result<std::unique_ptr<PreTokenizer>> makeCharSplit(const std::string& type,
                                                    const JsonFields& spec);

}  // namespace dcc::text
