// WordPiece: from the left, always the longest token that fits; tokens inside a word have a prefix.
#include "runtime/text/byte_trie.h"
#include "runtime/text/model.h"
#include "runtime/text/oniguruma.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

class WordPiece : public Model {
 public:
  WordPiece(Vocabulary vocabulary, std::string unknown, std::string_view prefix, size_t longest)
      : Model(std::move(vocabulary)), unknown_(std::move(unknown)), longest_(longest) {
    std::vector<std::pair<std::string_view, int32_t>> tokens;
    for (int32_t id = 0; id < this->vocabulary().size(); ++id) {
      if (!this->vocabulary().token(id).empty())
        tokens.emplace_back(this->vocabulary().token(id), id);
    }
    trie_ = ByteTrie(std::move(tokens));
    inside_ = trie_.walk(ByteTrie::kRoot, prefix);
    unknown_id_ = this->vocabulary().find(unknown_);
  }

  std::unique_ptr<Session> session() const override { return std::make_unique<Words>(*this); }

 private:
  class Words : public Session {
   public:
    explicit Words(const WordPiece& model) : model_(model) {}
    Status tokenize(std::string_view word, std::vector<int32_t>& ids) override {
      return model_.tokenize(word, ids);
    }

   private:
    const WordPiece& model_;
  };

  Status tokenize(std::string_view word, std::vector<int32_t>& ids) const {
    const size_t before = ids.size();
    bool known = word.size() <= longest_ || countChars(word) <= longest_;
    for (size_t begin = 0; known && begin < word.size();) {
      int32_t node = begin == 0 ? ByteTrie::kRoot : inside_;
      int32_t id = ByteTrie::kNone;
      size_t end = begin;
      for (size_t pos = begin; pos < word.size() && node != ByteTrie::kNone; ++pos) {
        node = trie_.step(node, word[pos]);
        if (node == ByteTrie::kNone || trie_.value(node) == ByteTrie::kNone) continue;
        id = trie_.value(node);
        end = pos + 1;
      }
      known = id != ByteTrie::kNone;
      ids.push_back(id);
      begin = end;
    }
    if (known) return Status::success();
    if (unknown_id_ < 0) {
      return userError("the unknown token \"" + oneLine(unknown_) +
                       "\" is not in vocab, but the text needs it for \"" + oneLine(word) + "\"");
    }
    ids.resize(before);
    ids.push_back(unknown_id_);
    return Status::success();
  }

  std::string unknown_;
  size_t longest_;  // in characters; longer words are unknown
  ByteTrie trie_;
  int32_t inside_;  // the node behind the prefix
  int32_t unknown_id_;
};

}  // namespace

Result<std::unique_ptr<Model>> makeWordPiece(const JsonFields& spec) {
  DCC_ASSIGN(Vocabulary vocabulary, Vocabulary::read(spec, "vocab"));
  DCC_ASSIGN(std::string unknown, spec.stringOr("unk_token", "[UNK]"));
  DCC_ASSIGN(const std::string prefix, spec.stringOr("continuing_subword_prefix", "##"));
  DCC_ASSIGN(const int64_t longest, spec.integerOr("max_input_chars_per_word", 100, 0));
  return std::unique_ptr<Model>(std::make_unique<WordPiece>(
      std::move(vocabulary), std::move(unknown), prefix, static_cast<size_t>(longest)));
}

}  // namespace dcc::text
