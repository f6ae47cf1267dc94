// Unigram: of all ways to write a word as tokens, the one with the highest sum of scores.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>

#include "runtime/text/byte_trie.h"
#include "runtime/text/model.h"
#include "runtime/text/oniguruma.h"
#include "runtime/text/utf8.h"
#include "runtime/text/word_cache.h"

namespace dcc::text {
namespace {

// How much worse than the worst token an unknown character is.
constexpr double kUnknownPenalty = 10;

// The number as the JSON reader of `tokenizers` rounds it: all decimal digits as an integer, which
// is rounded, divided by a power of ten, which rounds again. Scores often tie but for their last
// bit, so the same tokens need the same bits. The digits are the fewest that tell the number from
// its neighbours, which is how scores are written.
double roundedTwice(double number) {
  char buffer[32];
  const auto [end, failed] =
      std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::scientific);
  if (failed != std::errc()) return number;
  uint64_t digits = 0;
  int exponent = 0;
  const char* p = buffer;
  const bool negative = *p == '-';
  if (negative) ++p;
  bool fraction = false;
  for (; p != end && *p != 'e'; ++p) {
    if (*p == '.') {
      fraction = true;
      continue;
    }
    digits = digits * 10 + static_cast<uint64_t>(*p - '0');
    if (fraction) --exponent;
  }
  if (p == end) return number;  // infinite or not a number
  int scale = 0;
  std::from_chars(p[1] == '+' ? p + 2 : p + 1, end, scale);
  exponent += scale;
  if (exponent < -300 || exponent > 300) return number;
  const double magnitude = static_cast<double>(digits);
  const double power = std::pow(10.0, std::abs(exponent));
  const double result = exponent < 0 ? magnitude / power : magnitude * power;
  return negative ? -result : result;
}

class Unigram : public Model {
 public:
  Unigram(Vocabulary vocabulary, std::vector<double> scores, std::optional<int32_t> unknown,
          bool byte_fallback)
      : Model(std::move(vocabulary)),
        scores_(std::move(scores)),
        unknown_(unknown),
        byte_fallback_(byte_fallback) {
    std::vector<std::pair<std::string_view, int32_t>> tokens;
    for (int32_t id = 0; id < this->vocabulary().size(); ++id) {
      if (!this->vocabulary().token(id).empty())
        tokens.emplace_back(this->vocabulary().token(id), id);
    }
    trie_ = ByteTrie(std::move(tokens));
    double worst = std::numeric_limits<double>::infinity();
    for (const double score : scores_) worst = std::min(worst, score);
    unknown_score_ = worst - kUnknownPenalty;
    for (unsigned byte = 0; byte < 256; ++byte) {
      char name[8];
      std::snprintf(name, sizeof name, "<0x%02X>", byte);
      bytes_[byte] = this->vocabulary().find(name);
    }
  }

  std::unique_ptr<Session> session() const override { return std::make_unique<Words>(*this); }

 private:
  class Words : public Session {
   public:
    explicit Words(const Unigram& model) : model_(model) {}

    Status tokenize(std::string_view word, std::vector<int32_t>& ids) override {
      if (cache_.lookup(word, ids)) return Status::success();
      const size_t before = ids.size();
      DCC_RETURN_IF_ERROR(findBestPath(word));
      DCC_RETURN_IF_ERROR(followPath(word, ids));
      cache_.insert(word, std::span(ids).subspan(before));
      return Status::success();
    }

   private:
    // The best way to write the text up to some byte.
    struct Best {
      double score = 0;
      int32_t begin = -1;  // of its last token; -1: no way is known
      bool unknown = false;
    };

    Status findBestPath(std::string_view word) {
      best_.assign(word.size() + 1, Best{});
      for (size_t begin = 0; begin < word.size();) {
        const double score = best_[begin].score;
        const size_t length = utf8Length(static_cast<unsigned char>(word[begin]));
        bool has_token = false;  // for this one character
        const auto offer = [&](size_t end, double total, bool unknown) {
          Best& best = best_[end];
          if (best.begin < 0 || total > best.score) {
            best = {total, static_cast<int32_t>(begin), unknown};
          }
        };
        int32_t node = ByteTrie::kRoot;
        for (size_t pos = begin; pos < word.size(); ++pos) {
          node = model_.trie_.step(node, word[pos]);
          if (node == ByteTrie::kNone) break;
          const int32_t id = model_.trie_.value(node);
          if (id == ByteTrie::kNone) continue;
          offer(pos + 1, score + model_.scores_[static_cast<size_t>(id)], id == model_.unknown_);
          if (pos + 1 == begin + length) has_token = true;
        }
        if (!has_token) {
          if (!model_.unknown_) {
            return userError("there is no unknown token (unk_id), but the text needs it for \"" +
                             oneLine(word.substr(begin, length)) + "\"");
          }
          offer(begin + length, score + model_.unknown_score_, true);
        }
        begin += length;
      }
      return Status::success();
    }

    // Neighbouring unknown tokens are one.
    Status followPath(std::string_view word, std::vector<int32_t>& ids) {
      spans_.clear();
      bool fuse = false;
      for (size_t end = word.size(); end > 0;) {
        const Best& best = best_[end];
        const auto begin = static_cast<size_t>(best.begin);
        if (fuse && best.unknown) {
          spans_.back().first = begin;
        } else {
          spans_.emplace_back(begin, end);
        }
        fuse = best.unknown;
        end = begin;
      }
      for (auto span = spans_.rbegin(); span != spans_.rend(); ++span) {
        DCC_RETURN_IF_ERROR(
            model_.appendToken(word.substr(span->first, span->second - span->first), ids));
      }
      return Status::success();
    }

    const Unigram& model_;
    WordCache cache_;
    std::vector<Best> best_;  // by end
    std::vector<std::pair<size_t, size_t>> spans_;
  };

  Status appendToken(std::string_view token, std::vector<int32_t>& ids) const {
    const auto byteId = [&](char byte) { return bytes_[static_cast<unsigned char>(byte)]; };
    if (const int32_t id = vocabulary().find(token); id >= 0) {
      ids.push_back(id);
    } else if (byte_fallback_ && std::all_of(token.begin(), token.end(),
                                             [&](char byte) { return byteId(byte) >= 0; })) {
      for (const char byte : token) ids.push_back(byteId(byte));
    } else if (unknown_) {
      ids.push_back(*unknown_);
    }
    return Status::success();
  }

  std::vector<double> scores_;  // by id
  std::optional<int32_t> unknown_;
  bool byte_fallback_;
  double unknown_score_;
  ByteTrie trie_;
  std::array<int32_t, 256> bytes_;
};

}  // namespace

Result<std::unique_ptr<Model>> makeUnigram(const JsonFields& spec) {
  DCC_ASSIGN(const nlohmann::json* list, spec.array("vocab"));
  Vocabulary vocabulary;
  std::vector<double> scores;
  scores.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    const nlohmann::json& entry = (*list)[i];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      return spec.error("vocab[" + std::to_string(i) + "]",
                        "is no token; [\"token\", score] is expected");
    }
    vocabulary.add(entry[0].get_ref<const std::string&>());
    scores.push_back(roundedTwice(entry[1].get<double>()));
  }
  std::optional<int32_t> unknown;
  if (spec.has("unk_id")) {
    DCC_ASSIGN(const int64_t id, spec.integer("unk_id", 0, int64_t{vocabulary.size()} - 1));
    unknown = static_cast<int32_t>(id);
  }
  DCC_ASSIGN(const bool byte_fallback, spec.booleanOr("byte_fallback", false));
  return std::unique_ptr<Model>(
      std::make_unique<Unigram>(std::move(vocabulary), std::move(scores), unknown, byte_fallback));
}

}  // namespace dcc::text
