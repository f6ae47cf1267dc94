// Pre-tokenizers that cut by the class of each character.
#include <optional>

#include "runtime/text/oniguruma.h"
#include "runtime/text/pattern.h"
#include "runtime/text/pre_tokenizer.h"
#include "runtime/text/unicode.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

using PreTokenizerPtr = std::unique_ptr<PreTokenizer>;

// Cuts at each character of a class, like Split at an expression that matches one.
class CharSplit : public PreTokenizer {
 public:
  CharSplit(std::function<bool(char32_t)> matches, SplitBehavior behavior)
      : matches_(std::move(matches)), behavior_(behavior) {}

  Status apply(Pieces& pieces) const override {
    std::vector<Part> parts;
    std::vector<Span> kept;
    return pieces.split([&](const Piece& piece, Pieces& out) {
      parts.clear();
      for (size_t pos = 0; pos < piece.text.size();) {
        const size_t begin = pos;
        const bool match = matches_(nextChar(piece.text, pos));
        if (!match && !parts.empty() && !parts.back().match) {
          parts.back().end = pos;
        } else {
          parts.push_back({begin, pos, match});
        }
      }
      splitParts(parts, behavior_, kept);
      for (const Span& span : kept) out.addPart(piece, span.begin, span.end);
      return Status::success();
    });
  }

 private:
  std::function<bool(char32_t)> matches_;
  SplitBehavior behavior_;
};

// A piece for each run of characters of one class; those of class 0 are left out.
class RunSplit : public PreTokenizer {
 public:
  explicit RunSplit(std::function<int(char32_t)> class_of) : class_of_(std::move(class_of)) {}

  Status apply(Pieces& pieces) const override {
    return pieces.split([&](const Piece& piece, Pieces& out) {
      size_t begin = 0;
      int run = 0;
      for (size_t pos = 0; pos < piece.text.size();) {
        const size_t here = pos;
        const int next = class_of_(nextChar(piece.text, pos));
        if (next == run) continue;
        if (run != 0) out.addPart(piece, begin, here);
        begin = here;
        run = next;
      }
      if (run != 0) out.addPart(piece, begin, piece.text.size());
      return Status::success();
    });
  }

 private:
  std::function<int(char32_t)> class_of_;
};

class BertPreTokenizer : public PreTokenizer {
 public:
  // White space is left out; a punctuation character is a piece of its own, so its class must not
  // equal its neighbour's.
  Status apply(Pieces& pieces) const override {
    DCC_RETURN_IF_ERROR(spaces_.apply(pieces));
    return punctuation_.apply(pieces);
  }

 private:
  CharSplit spaces_{isWhiteSpace, SplitBehavior::kRemoved};
  CharSplit punctuation_{isPunctuation, SplitBehavior::kIsolated};
};

class FixedLength : public PreTokenizer {
 public:
  explicit FixedLength(size_t length) : length_(length) {}

  Status apply(Pieces& pieces) const override {
    return pieces.split([&](const Piece& piece, Pieces& out) {
      size_t begin = 0, chars = 0;
      for (size_t pos = 0; pos < piece.text.size();) {
        nextChar(piece.text, pos);
        if (++chars < length_ && pos < piece.text.size()) continue;
        out.addPart(piece, begin, pos);
        begin = pos;
        chars = 0;
      }
      return Status::success();
    });
  }

 private:
  size_t length_;
};

// Cuts where the script changes. Spaces and characters without a script belong to what is before
// them; before the first script they are left out, as `tokenizers` does.
class ScriptSplit : public PreTokenizer {
 public:
  Status apply(Pieces& pieces) const override {
    return pieces.split([&](const Piece& piece, Pieces& out) {
      std::optional<size_t> begin;
      int last = 0;
      for (size_t pos = 0; pos < piece.text.size();) {
        const size_t here = pos;
        const int script = scriptForSplit(nextChar(piece.text, pos));
        if (script == 0) continue;
        if (script != last) {
          if (begin) out.addPart(piece, *begin, here);
          begin = here;
        }
        last = script;
      }
      if (begin) out.addPart(piece, *begin, piece.text.size());
      return Status::success();
    });
  }

 private:
  // Japanese kana count as Han, as in SentencePiece.
  static int scriptForSplit(char32_t c) {
    if (c == ' ') return 0;
    static const int han = scriptOf(U'\u4E00');
    static const int hiragana = scriptOf(U'\u3042');
    static const int katakana = scriptOf(U'\u30A2');
    const int script = scriptOf(c);
    return c == 0x30FC || script == hiragana || script == katakana ? han : script;
  }
};

Result<PreTokenizerPtr> makeDelimiter(const JsonFields& spec) {
  DCC_ASSIGN(const std::string delimiter, spec.string("delimiter"));
  if (countChars(delimiter) != 1) {
    return spec.error("delimiter",
                      "is \"" + oneLine(delimiter) + "\"; a string of one character is expected");
  }
  size_t pos = 0;
  const char32_t c = nextChar(delimiter, pos);
  return PreTokenizerPtr(std::make_unique<CharSplit>([c](char32_t other) { return other == c; },
                                                     SplitBehavior::kRemoved));
}

}  // namespace

Result<PreTokenizerPtr> makeCharSplit(const std::string& type, const JsonFields& spec) {
  if (type == "WhitespaceSplit") {
    return PreTokenizerPtr(std::make_unique<CharSplit>(isWhiteSpace, SplitBehavior::kRemoved));
  }
  if (type == "Whitespace") {  // words, and what is neither word nor white space
    return PreTokenizerPtr(std::make_unique<RunSplit>([](char32_t c) {
      return isWord(c) ? 1 : isWhiteSpace(c) ? 0 : 2;
    }));
  }
  if (type == "Punctuation") {
    DCC_ASSIGN(const SplitBehavior behavior, splitBehavior(spec));
    return PreTokenizerPtr(std::make_unique<CharSplit>(isPunctuation, behavior));
  }
  if (type == "Digits") {
    DCC_ASSIGN(const bool individual, spec.booleanOr("individual_digits", false));
    return PreTokenizerPtr(std::make_unique<CharSplit>(
        isNumeric, individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous));
  }
  if (type == "BertPreTokenizer") return PreTokenizerPtr(std::make_unique<BertPreTokenizer>());
  if (type == "UnicodeScripts") return PreTokenizerPtr(std::make_unique<ScriptSplit>());
  if (type == "FixedLength") {
    DCC_ASSIGN(const int64_t length, spec.integerOr("length", 5, 1));
    return PreTokenizerPtr(std::make_unique<FixedLength>(static_cast<size_t>(length)));
  }
  if (type == "CharDelimiterSplit") return makeDelimiter(spec);
  return PreTokenizerPtr();
}

}  // namespace dcc::text
