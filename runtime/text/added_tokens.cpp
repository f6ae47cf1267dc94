#include "runtime/text/added_tokens.h"

#include <algorithm>

#include "runtime/text/normalizer.h"
#include "runtime/text/oniguruma.h"
#include "runtime/text/unicode.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

Result<AddedToken> readToken(const nlohmann::json& json, const std::string& where) {
  DCC_ASSIGN(const JsonFields spec, JsonFields::of(json, where));
  AddedToken token;
  DCC_ASSIGN(token.content, spec.string("content"));
  DCC_ASSIGN(const int64_t id, spec.integer("id", 0, INT32_MAX));
  token.id = static_cast<int32_t>(id);
  DCC_ASSIGN(token.single_word, spec.booleanOr("single_word", false));
  DCC_ASSIGN(token.lstrip, spec.booleanOr("lstrip", false));
  DCC_ASSIGN(token.rstrip, spec.booleanOr("rstrip", false));
  DCC_ASSIGN(token.special, spec.booleanOr("special", false));
  DCC_ASSIGN(token.normalized, spec.booleanOr("normalized", !token.special));
  return token;
}

bool startsWithWord(std::string_view text) {
  size_t pos = 0;
  return !text.empty() && isWord(nextChar(text, pos));
}

bool endsWithWord(std::string_view text) {
  size_t pos = text.size();
  return !text.empty() && isWord(previousChar(text, pos));
}

// Where the white space begins that `text` ends with.
size_t trailingSpace(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    size_t pos = begin;
    if (!isWhiteSpace(previousChar(text, pos))) break;
    begin = pos;
  }
  return begin;
}

// Where the white space ends that `text` begins with.
size_t leadingSpace(std::string_view text) {
  size_t end = 0;
  while (end < text.size()) {
    size_t pos = end;
    if (!isWhiteSpace(nextChar(text, pos))) break;
    end = pos;
  }
  return end;
}

}  // namespace

Result<AddedTokens> AddedTokens::read(const nlohmann::json& list, const std::string& where,
                                      const Vocabulary& vocabulary, const Normalizer* normalizer) {
  AddedTokens added;
  int32_t next_id = vocabulary.size();
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string here = where + "[" + std::to_string(i) + "]";
    DCC_ASSIGN(AddedToken token, readToken(list[i], here));
    if (token.content.empty()) continue;
    const auto known = added.by_content_.find(token.content);
    int32_t id = vocabulary.find(token.content);
    if (id < 0) id = known != added.by_content_.end() ? added.tokens_[known->second].id : next_id++;
    if (id != token.id) {
      return userError(
          here + ": \"" + oneLine(token.content) + "\" has id " + std::to_string(token.id) + "; " +
          std::to_string(id) + " is expected, " +
          (id < vocabulary.size() ? "its id in the model's vocab" : "the first id that is free"));
    }
    token.form = token.content;
    if (token.normalized && normalizer) DCC_RETURN_IF_ERROR(normalizer->apply(token.form));
    added.highest_id_ = std::max(added.highest_id_, id);
    if (known != added.by_content_.end()) {
      added.tokens_[known->second] = std::move(token);
      continue;
    }
    added.by_id_.emplace(id, added.tokens_.size());
    added.by_content_.emplace(token.content, added.tokens_.size());
    added.tokens_.push_back(std::move(token));
  }
  for (AddedToken& token : added.tokens_) {
    const auto same = added.by_content_.find(token.form);
    token.skipped = same != added.by_content_.end() && added.tokens_[same->second].special;
  }
  for (const bool normalized : {false, true}) {
    std::vector<std::pair<std::string_view, int32_t>> forms;
    for (size_t i = 0; i < added.tokens_.size(); ++i) {
      const AddedToken& token = added.tokens_[i];
      // A token that the normalizer makes empty can't be found.
      if (token.normalized == normalized && !token.form.empty()) {
        forms.emplace_back(token.form, static_cast<int32_t>(i));
      }
    }
    (normalized ? added.normalized_ : added.exact_) = ByteTrie(std::move(forms));
  }
  return added;
}

void AddedTokens::extract(const Piece& piece, bool normalized, Pieces& out) const {
  const ByteTrie& forms = trie(normalized);
  const std::string_view text = piece.text;
  size_t done = 0;  // all before is in `out`
  const auto addText = [&](size_t begin, size_t end) {
    out.add({text.substr(begin, end - begin), -1, piece.at_start && begin == 0});
  };
  for (size_t pos = 0; pos < text.size();) {
    size_t end = 0;
    int32_t found = ByteTrie::kNone;
    int32_t node = ByteTrie::kRoot;
    for (size_t i = pos; i < text.size(); ++i) {
      node = forms.step(node, text[i]);
      if (node == ByteTrie::kNone) break;
      if (forms.value(node) != ByteTrie::kNone) {
        found = forms.value(node);
        end = i + 1;
      }
    }
    if (found == ByteTrie::kNone) {
      ++pos;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(found)];
    size_t begin = pos;
    pos = end;
    if (token.single_word &&
        (endsWithWord(text.substr(0, begin)) || startsWithWord(text.substr(end)))) {
      continue;
    }
    if (token.lstrip) begin = std::max(trailingSpace(text.substr(0, begin)), done);
    if (token.rstrip) end += leadingSpace(text.substr(end));
    if (done < begin) addText(done, begin);
    out.add({text.substr(begin, end - begin), token.id, false});
    done = end;
  }
  if (done < text.size()) addText(done, text.size());
}

const AddedToken* AddedTokens::byId(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

int32_t AddedTokens::idOf(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found == by_content_.end() ? -1 : tokens_[found->second].id;
}

}  // namespace dcc::text
