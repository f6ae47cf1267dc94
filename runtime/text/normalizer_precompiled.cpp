#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include <array>

#include "runtime/text/charsmap.h"
#include "runtime/text/limits.h"
#include "runtime/text/normalizer.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

// Ends of grapheme clusters. ICU is asked only where the answer is not plain from ASCII.
class Graphemes {
 public:
  Graphemes(std::string_view text, const icu::BreakIterator& prototype)
      : text_(text), prototype_(prototype) {}
  ~Graphemes() { utext_close(utext_); }
  Graphemes(const Graphemes&) = delete;
  Graphemes& operator=(const Graphemes&) = delete;

  // The end of the cluster that begins at `begin`.
  size_t endOf(size_t begin) {
    const bool ascii = text_[begin] >= 0;
    if (ascii && begin + 1 == text_.size()) return begin + 1;
    if (ascii && text_[begin + 1] >= 0) {
      return text_[begin] == '\r' && text_[begin + 1] == '\n' ? begin + 2 : begin + 1;
    }
    if (!breaks_) {
      UErrorCode status = U_ZERO_ERROR;
      breaks_.reset(prototype_.clone());
      utext_ = utext_openUTF8(nullptr, text_.data(), static_cast<int64_t>(text_.size()), &status);
      breaks_->setText(utext_, status);
    }
    const int32_t end = breaks_->following(static_cast<int32_t>(begin));
    return end == icu::BreakIterator::DONE ? text_.size() : static_cast<size_t>(end);
  }

 private:
  std::string_view text_;
  const icu::BreakIterator& prototype_;
  std::unique_ptr<icu::BreakIterator> breaks_;
  UText* utext_ = nullptr;
};

class Precompiled : public Normalizer {
 public:
  Precompiled(Charsmap map, std::unique_ptr<icu::BreakIterator> graphemes)
      : map_(std::move(map)), graphemes_(std::move(graphemes)) {
    for (size_t c = 0; c < ascii_.size(); ++c) {
      const char byte = static_cast<char>(c);
      ascii_[c] = map_.find(std::string_view(&byte, 1));
    }
  }

  Status apply(std::string& text) const override {
    std::string out;
    out.reserve(text.size());
    Graphemes graphemes(text, *graphemes_);
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = graphemes.endOf(begin);
      if (end == begin + 1) {
        const char c = text[begin];
        const auto& replacement = ascii_[static_cast<unsigned char>(c)];
        if (replacement) {
          out += *replacement;
        } else {
          out += c;
        }
      } else {
        appendCluster(std::string_view(text).substr(begin, end - begin), out);
      }
      begin = end;
      DCC_RETURN_IF_ERROR(checkGrowth(text.size(), out.size()));
    }
    text = std::move(out);
    return Status::success();
  }

 private:
  // A short cluster is looked up as a whole, else and failing that its characters are.
  void appendCluster(std::string_view cluster, std::string& out) const {
    constexpr size_t kShort = 6;
    if (cluster.size() < kShort) {
      if (const auto replacement = map_.find(cluster)) {
        out += *replacement;
        return;
      }
    }
    for (size_t pos = 0; pos < cluster.size();) {
      const size_t begin = pos;
      nextChar(cluster, pos);
      const std::string_view c = cluster.substr(begin, pos - begin);
      out += map_.find(c).value_or(c);
    }
  }

  Charsmap map_;
  std::unique_ptr<icu::BreakIterator> graphemes_;  // is only cloned
  std::array<std::optional<std::string_view>, 128> ascii_;
};

}  // namespace

Result<std::unique_ptr<Normalizer>> makePrecompiled(const JsonFields& spec) {
  constexpr std::string_view kKey = "precompiled_charsmap";
  DCC_ASSIGN(const std::string base64, spec.string(kKey));
  const std::optional<std::string> bytes = decodeBase64(base64);
  if (!bytes) return spec.error(kKey, "is no base64; a character map in base64 is expected");
  Result<Charsmap> map = Charsmap::parse(*bytes);
  if (!map.ok()) return spec.error(kKey, map.error().message);
  UErrorCode status = U_ZERO_ERROR;
  std::unique_ptr<icu::BreakIterator> graphemes(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  if (U_FAILURE(status)) {
    return runtimeError("ICU has no data for characters (" + std::string(u_errorName(status)) +
                        ")");
  }
  return std::unique_ptr<Normalizer>(
      std::make_unique<Precompiled>(std::move(*map), std::move(graphemes)));
}

}  // namespace dcc::text
