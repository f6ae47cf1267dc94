// Models of tokenizer.json: they turn a word, as pre-tokenizers made it, into token ids.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "runtime/base/json.h"
#include "runtime/base/status.h"
#include "runtime/text/vocabulary.h"

namespace dcc::text {

class Model {
 public:
  virtual ~Model() = default;

  // The working memory for some words in one thread: what words gave is remembered. It refers to
  // the model.
  class Session {
   public:
    virtual ~Session() = default;
    // Appends the tokens of a word (valid UTF-8, not empty). Error (user): the word has a character
    // for which there is no token, and there is no unknown token either.
    virtual Status tokenize(std::string_view word, std::vector<int32_t>& ids) = 0;
  };
  virtual std::unique_ptr<Session> session() const = 0;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 protected:
  explicit Model(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}

 private:
  Vocabulary vocabulary_;
};

// `spec` is the value of "model". Old files have no "type"; it follows from the other fields then.
// Errors (user) begin with `where`.
Result<std::unique_ptr<Model>> makeModel(const nlohmann::json& spec, const std::string& where);

// One file per kind; makeModel chooses.
Result<std::unique_ptr<Model>> makeBpe(const JsonFields& spec);
Result<std::unique_ptr<Model>> makeWordPiece(const JsonFields& spec);
Result<std::unique_ptr<Model>> makeUnigram(const JsonFields& spec);
Result<std::unique_ptr<Model>> makeWordLevel(const JsonFields& spec);

}  // namespace dcc::text
