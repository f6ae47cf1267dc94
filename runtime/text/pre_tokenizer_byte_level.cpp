#include "runtime/text/byte_alphabet.h"
#include "runtime/text/pattern.h"
#include "runtime/text/pre_tokenizer.h"

namespace dcc::text {
namespace {

// How GPT-2 cuts text into words.
constexpr std::string_view kDefaultWords =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, std::optional<Regex> words)
      : add_prefix_space_(add_prefix_space), words_(std::move(words)) {}

  Status apply(Pieces& pieces) const override {
    DCC_RETURN_IF_ERROR(split(pieces));
    std::string& mapped = pieces.newBuffer(2 * pieces.bytes());
    return pieces.split([&](const Piece& piece, Pieces& out) {
      const size_t begin = mapped.size();
      appendByteAlphabet(piece.text, mapped);
      out.add({std::string_view(mapped).substr(begin), -1, piece.at_start});
      return Status::success();
    });
  }

 private:
  Status split(Pieces& pieces) const {
    if (!add_prefix_space_ && !words_) return Status::success();
    std::optional<Matcher> matcher;
    if (words_) matcher.emplace(*words_);
    std::vector<Span> matches, words;
    std::vector<Part> parts;
    return pieces.split([&](const Piece& piece, Pieces& out) -> Status {
      std::string_view text = piece.text;
      if (add_prefix_space_ && !text.starts_with(' ')) {
        text = out.newBuffer(text.size() + 1).append(" ").append(text);
      }
      if (!words_) {
        out.add({text, -1, piece.at_start});
        return Status::success();
      }
      DCC_RETURN_IF_ERROR(matcher->findAll(text, matches));
      coverText(matches, text.size(), parts);
      splitParts(parts, SplitBehavior::kIsolated, words);
      for (const Span& word : words) {
        out.add({text.substr(word.begin, word.end - word.begin), -1,
                 piece.at_start && word.begin == 0});
      }
      return Status::success();
    });
  }

  bool add_prefix_space_;
  std::optional<Regex> words_;
};

}  // namespace

Result<std::unique_ptr<PreTokenizer>> makeByteLevel(const JsonFields& spec) {
  DCC_ASSIGN(const bool add_prefix_space, spec.booleanOr("add_prefix_space", true));
  DCC_ASSIGN(const bool use_regex, spec.booleanOr("use_regex", true));
  std::optional<Regex> words;
  if (use_regex) {
    DCC_ASSIGN(words, Regex::compile(kDefaultWords));
  }
  return std::unique_ptr<PreTokenizer>(
      std::make_unique<ByteLevel>(add_prefix_space, std::move(words)));
}

}  // namespace dcc::text
