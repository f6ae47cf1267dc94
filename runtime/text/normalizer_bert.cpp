// What BERT does to text before it is cut: clean it, set Chinese characters apart, take off
// accents, lower the case.
#include "runtime/text/normalizer.h"
#include "runtime/text/unicode.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

// The CJK Unicode blocks, as BERT lists them.
bool isChinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

class BertNormalizer : public Normalizer {
 public:
  BertNormalizer(bool clean_text, bool handle_chinese_chars, bool strip_accents, bool lowercase)
      : clean_text_(clean_text),
        handle_chinese_chars_(handle_chinese_chars),
        strip_accents_(strip_accents),
        lowercase_(lowercase) {}

  Status apply(std::string& text) const override {
    std::string out;
    out.reserve(text.size());
    for (size_t pos = 0; pos < text.size();) {
      const char32_t c = nextChar(text, pos);
      if (clean_text_) {
        const bool is_break = c == '\t' || c == '\n' || c == '\r';
        if (c == 0 || c == 0xFFFD || (!is_break && isControl(c))) continue;
        if (isWhiteSpace(c)) {
          out += ' ';
          continue;
        }
      }
      if (handle_chinese_chars_ && isChinese(c)) {
        out += ' ';
        appendUtf8(out, c);
        out += ' ';
      } else {
        appendUtf8(out, c);
      }
    }
    if (strip_accents_) out = normalForm(NormalForm::kNfd, out);
    if (!strip_accents_ && !lowercase_) {
      text = std::move(out);
      return Status::success();
    }
    text.clear();
    for (size_t pos = 0; pos < out.size();) {
      const char32_t c = nextChar(out, pos);
      if (strip_accents_ && isNonspacingMark(c)) continue;
      if (lowercase_) {
        appendLowercase(text, c);
      } else {
        appendUtf8(text, c);
      }
    }
    return Status::success();
  }

 private:
  bool clean_text_, handle_chinese_chars_, strip_accents_, lowercase_;
};

}  // namespace

Result<std::unique_ptr<Normalizer>> makeBertNormalizer(const JsonFields& spec) {
  DCC_ASSIGN(const bool clean_text, spec.booleanOr("clean_text", true));
  DCC_ASSIGN(const bool handle_chinese_chars, spec.booleanOr("handle_chinese_chars", true));
  DCC_ASSIGN(const bool lowercase, spec.booleanOr("lowercase", true));
  DCC_ASSIGN(const bool strip_accents, spec.booleanOr("strip_accents", lowercase));
  return std::unique_ptr<Normalizer>(
      std::make_unique<BertNormalizer>(clean_text, handle_chinese_chars, strip_accents, lowercase));
}

}  // namespace dcc::text
