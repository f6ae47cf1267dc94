// WordLevel: a word is a token or unknown.
#include "runtime/text/model.h"
#include "runtime/text/oniguruma.h"

namespace dcc::text {
namespace {

class WordLevel : public Model {
 public:
  WordLevel(Vocabulary vocabulary, std::string unknown)
      : Model(std::move(vocabulary)), unknown_(std::move(unknown)) {}

  std::unique_ptr<Session> session() const override { return std::make_unique<Words>(*this); }

 private:
  class Words : public Session {
   public:
    explicit Words(const WordLevel& model) : model_(model) {}
    Status tokenize(std::string_view word, std::vector<int32_t>& ids) override {
      int32_t id = model_.vocabulary().find(word);
      if (id < 0) id = model_.vocabulary().find(model_.unknown_);
      if (id < 0) {
        return userError("the unknown token \"" + oneLine(model_.unknown_) +
                         "\" is not in vocab, but the text needs it for \"" + oneLine(word) + "\"");
      }
      ids.push_back(id);
      return Status::success();
    }

   private:
    const WordLevel& model_;
  };

  std::string unknown_;
};

}  // namespace

Result<std::unique_ptr<Model>> makeWordLevel(const JsonFields& spec) {
  DCC_ASSIGN(Vocabulary vocabulary, Vocabulary::read(spec, "vocab"));
  DCC_ASSIGN(std::string unknown, spec.stringOr("unk_token", "<unk>"));
  return std::unique_ptr<Model>(
      std::make_unique<WordLevel>(std::move(vocabulary), std::move(unknown)));
}

}  // namespace dcc::text
