// Byte-pair encoding: a word begins as its characters, then neighbours merge by a learnt order.
#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "runtime/text/bpe_merges.h"
#include "runtime/text/model.h"
#include "runtime/text/oniguruma.h"
#include "runtime/text/utf8.h"
#include "runtime/text/word_cache.h"

namespace dcc::text {
namespace {

// Characters below this have their tokens in an array: ASCII and GPT-2's byte alphabet.
constexpr char32_t kSmall = 0x180;

struct BpeFields {
  std::optional<std::string> unknown;  // token for a character that has none
  bool fuse_unknown = false;           // one for a run of such characters
  bool byte_fallback = false;          // first try the tokens <0x00> to <0xFF> for its bytes
  bool ignore_merges = false;          // a word that is a token is not cut
  std::string prefix, suffix;  // of characters that don't begin a word, of the one that ends it
};

class Bpe : public Model {
 public:
  Bpe(Vocabulary vocabulary, BpeFields fields)
      : Model(std::move(vocabulary)), fields_(std::move(fields)) {
    small_.fill(-1);
    std::string text;
    for (char32_t c = 0; c < kSmall; ++c) {
      text.clear();
      appendUtf8(text, c);
      small_[c] = this->vocabulary().find(text);
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", byte);
      bytes_[byte] = this->vocabulary().find(name);
    }
    if (fields_.unknown) unknown_ = this->vocabulary().find(*fields_.unknown);
  }

  Status readMerges(const nlohmann::json& list, const JsonFields& spec);
  std::unique_ptr<Session> session() const override;

  // The token that a character is, without prefix and suffix; -1: none. `bytes` is the character.
  int32_t tokenOf(char32_t c, std::string_view bytes) const {
    return c < kSmall ? small_[c] : vocabulary().find(bytes);
  }
  // Whether the word need not be merged as a whole: no merge can join what is left and what is
  // right of a boundary between these two characters. A space in the middle of text is mostly such
  // a boundary, so that long texts without pre-tokenizer come apart into words.
  bool separates(char32_t left, char32_t right) const {
    return cuttable_ && !joined_.find(static_cast<int32_t>(left), static_cast<int32_t>(right));
  }
  Status firstSymbols(std::string_view word, std::vector<int32_t>& symbols) const;

  const BpeFields& fields() const { return fields_; }
  const MergeTable& merges() const { return merges_; }

 private:
  bool isFallback(int32_t id) const {
    return id == unknown_ ||
           (fields_.byte_fallback && std::find(bytes_.begin(), bytes_.end(), id) != bytes_.end());
  }
  void findJoined(std::vector<std::pair<char32_t, char32_t>> pairs);

  BpeFields fields_;
  int32_t unknown_ = -1;
  std::array<int32_t, kSmall> small_;
  std::array<int32_t, 256> bytes_;
  MergeTable merges_;
  MergeTable joined_;  // keys: pairs of characters that stand at the seam of some merge
  bool cuttable_ = true;
};

char32_t firstChar(std::string_view text) {
  size_t pos = 0;
  return nextChar(text, pos);
}

char32_t lastChar(std::string_view text) {
  size_t pos = text.size();
  return previousChar(text, pos);
}

// A merge as "a b" or ["a", "b"].
std::optional<std::pair<std::string_view, std::string_view>> readMerge(const nlohmann::json& json) {
  if (json.is_array()) {
    if (json.size() != 2 || !json[0].is_string() || !json[1].is_string()) return std::nullopt;
    return std::pair<std::string_view, std::string_view>(json[0].get_ref<const std::string&>(),
                                                         json[1].get_ref<const std::string&>());
  }
  if (!json.is_string()) return std::nullopt;
  const std::string_view text = json.get_ref<const std::string&>();
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  return std::pair(text.substr(0, space), text.substr(space + 1));
}

Status Bpe::readMerges(const nlohmann::json& list, const JsonFields& spec) {
  merges_.reserve(list.size());
  cuttable_ = fields_.prefix.empty() && fields_.suffix.empty();
  std::vector<std::pair<char32_t, char32_t>> seams;
  std::string joined;
  uint32_t rank = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto fail = [&](const std::string& what) {
      return spec.error("merges[" + std::to_string(i) + "]", what);
    };
    // Lists from the lines of an old merges.txt may still have its first one.
    if (list[i].is_string() && list[i].get_ref<const std::string&>().starts_with("#version")) {
      continue;
    }
    const auto merge = readMerge(list[i]);
    if (!merge) return fail("is no merge; \"left right\" or [\"left\", \"right\"] is expected");
    const auto [left, right] = *merge;
    if (left.empty() || right.empty() || right.size() < fields_.prefix.size()) {
      return fail("has an empty side; two tokens are expected");
    }
    joined.assign(left).append(right.substr(fields_.prefix.size()));
    const int32_t left_id = vocabulary().find(left);
    const int32_t right_id = vocabulary().find(right);
    const int32_t joined_id = vocabulary().find(joined);
    if (left_id < 0 || right_id < 0 || joined_id < 0) {
      const std::string_view missing = left_id < 0 ? left : right_id < 0 ? right : joined;
      return fail("needs the token \"" + oneLine(missing) +
                  "\", which is not in vocab; only tokens of vocab can merge");
    }
    merges_.add(left_id, right_id, {rank++, joined_id});
    if (isFallback(left_id) || isFallback(right_id)) cuttable_ = false;
    seams.emplace_back(lastChar(left), firstChar(right));
  }
  findJoined(std::move(seams));
  return Status::success();
}

void Bpe::findJoined(std::vector<std::pair<char32_t, char32_t>> pairs) {
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  joined_.reserve(pairs.size());
  for (const auto& [left, right] : pairs) {
    joined_.add(static_cast<int32_t>(left), static_cast<int32_t>(right), {});
  }
}

Status Bpe::firstSymbols(std::string_view word, std::vector<int32_t>& symbols) const {
  const bool decorated = !fields_.prefix.empty() || !fields_.suffix.empty();
  std::string text;
  bool pending = false;  // an unknown token that may still grow
  for (size_t pos = 0; pos < word.size();) {
    const size_t begin = pos;
    const char32_t c = nextChar(word, pos);
    std::string_view bytes = word.substr(begin, pos - begin);
    int32_t id;
    if (decorated) {
      text.clear();
      if (begin > 0) text += fields_.prefix;
      text += bytes;
      if (pos == word.size()) text += fields_.suffix;
      bytes = text;
      id = vocabulary().find(bytes);
    } else {
      id = tokenOf(c, bytes);
    }
    if (id >= 0) {
      if (pending) symbols.push_back(unknown_);
      pending = false;
      symbols.push_back(id);
      continue;
    }
    const auto byteId = [&](char byte) { return bytes_[static_cast<unsigned char>(byte)]; };
    if (fields_.byte_fallback &&
        std::all_of(bytes.begin(), bytes.end(), [&](char byte) { return byteId(byte) >= 0; })) {
      // An unknown token before stays pending, as in `tokenizers`.
      for (const char byte : bytes) symbols.push_back(byteId(byte));
      continue;
    }
    if (!fields_.unknown) continue;  // such characters vanish
    if (unknown_ < 0) {
      return userError("the unknown token \"" + oneLine(*fields_.unknown) +
                       "\" is not in vocab, but the text needs it for \"" + oneLine(bytes) + "\"");
    }
    if (pending && !fields_.fuse_unknown) symbols.push_back(unknown_);
    pending = true;
  }
  if (pending) symbols.push_back(unknown_);
  return Status::success();
}

class BpeSession : public Model::Session {
 public:
  explicit BpeSession(const Bpe& model) : model_(model), merger_(model.merges()) {}

  Status tokenize(std::string_view word, std::vector<int32_t>& ids) override {
    if (model_.fields().ignore_merges) {
      if (const int32_t id = model_.vocabulary().find(word); id >= 0) {
        ids.push_back(id);
        return Status::success();
      }
    }
    if (word.size() <= WordCache::kLongestWord) return part(word, ids);
    // Cut where nothing can merge. Next to a character without token, what it gives may depend on
    // its neighbours, so no cuts there.
    size_t begin = 0, pos = 0;
    const auto tokenBefore = [&](char32_t c, size_t end) {
      size_t at = end;
      previousChar(word, at);
      return model_.tokenOf(c, word.substr(at, end - at));
    };
    for (char32_t left = nextChar(word, pos); pos < word.size();) {
      const size_t seam = pos;
      const char32_t right = nextChar(word, pos);
      if (model_.separates(left, right) && tokenBefore(left, seam) >= 0 &&
          tokenBefore(right, pos) >= 0) {
        DCC_RETURN_IF_ERROR(part(word.substr(begin, seam - begin), ids));
        begin = seam;
      }
      left = right;
    }
    return part(word.substr(begin), ids);
  }

 private:
  // A word or a part of one that merges on its own.
  Status part(std::string_view text, std::vector<int32_t>& ids) {
    if (cache_.lookup(text, ids)) return Status::success();
    symbols_.clear();
    DCC_RETURN_IF_ERROR(model_.firstSymbols(text, symbols_));
    merger_.apply(symbols_);
    cache_.insert(text, symbols_);
    ids.insert(ids.end(), symbols_.begin(), symbols_.end());
    return Status::success();
  }

  const Bpe& model_;
  Merger merger_;
  WordCache cache_;
  std::vector<int32_t> symbols_;
};

std::unique_ptr<Model::Session> Bpe::session() const { return std::make_unique<BpeSession>(*this); }

}  // namespace

Result<std::unique_ptr<Model>> makeBpe(const JsonFields& spec) {
  DCC_ASSIGN(Vocabulary vocabulary, Vocabulary::read(spec, "vocab"));
  DCC_ASSIGN(const nlohmann::json* merges, spec.array("merges"));
  BpeFields fields;
  if (spec.has("unk_token")) {
    DCC_ASSIGN(fields.unknown, spec.string("unk_token"));
  }
  DCC_ASSIGN(fields.fuse_unknown, spec.booleanOr("fuse_unk", false));
  DCC_ASSIGN(fields.byte_fallback, spec.booleanOr("byte_fallback", false));
  DCC_ASSIGN(fields.ignore_merges, spec.booleanOr("ignore_merges", false));
  DCC_ASSIGN(fields.prefix, spec.stringOr("continuing_subword_prefix", ""));
  DCC_ASSIGN(fields.suffix, spec.stringOr("end_of_word_suffix", ""));
  // "dropout" is for training: the library drops no merges where text must come out the same.
  auto model = std::make_unique<Bpe>(std::move(vocabulary), std::move(fields));
  DCC_RETURN_IF_ERROR(model->readMerges(*merges, spec));
  return std::unique_ptr<Model>(std::move(model));
}

}  // namespace dcc::text
