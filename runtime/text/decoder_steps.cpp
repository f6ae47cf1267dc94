// The decoders that work on one token at a time, or nearly so.
#include <algorithm>
#include <optional>
#include <utility>

#include "runtime/text/decoder.h"
#include "runtime/text/metaspace.h"
#include "runtime/text/oniguruma.h"
#include "runtime/text/pattern.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

using StepPtr = std::shared_ptr<const DecoderStep>;

void replaceAll(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// What English looks like between tokens that were words: no space before a full stop, and so on.
void cleanUp(std::string& text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) replaceAll(text, from, to);
}

// A sink that works with the fields of its decoder, as most do. Step is the decoder.
template <class Step>
class SinkOf : public TokenSink {
 public:
  SinkOf(const Step& step, TokenSink& next) : step_(step), next_(next) {}
  void finish() override { next_.finish(); }

 protected:
  const Step& step_;
  TokenSink& next_;
};

// Replaces matches of a pattern in every token. A token on which its expression gives up stays as
// it is.
class ReplaceStep : public DecoderStep {
 public:
  ReplaceStep(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  std::unique_ptr<TokenSink> start(TokenSink& next, bool) const override {
    class Sink : public SinkOf<ReplaceStep> {
     public:
      Sink(const ReplaceStep& step, TokenSink& next)
          : SinkOf(step, next), replacer_(step.pattern_, step.content_) {}
      void push(std::string_view token) override {
        std::string text(token);
        (void)replacer_.apply(text);
        next_.push(text);
      }

     private:
      Replacer replacer_;
    };
    return std::make_unique<Sink>(*this, next);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

// A space before every token that doesn't continue a word.
class WordPieceStep : public DecoderStep {
 public:
  WordPieceStep(std::string prefix, bool clean_up)
      : prefix_(std::move(prefix)), clean_up_(clean_up) {}

  std::unique_ptr<TokenSink> start(TokenSink& next, bool) const override {
    class Sink : public SinkOf<WordPieceStep> {
     public:
      using SinkOf::SinkOf;
      void push(std::string_view token) override {
        std::string text;
        const bool first = std::exchange(first_, false);
        if (!first && token.starts_with(step_.prefix_)) {
          text = token.substr(step_.prefix_.size());
        } else {
          text = first ? "" : " ";
          text += token;
        }
        if (step_.clean_up_) cleanUp(text);
        next_.push(text);
      }

     private:
      bool first_ = true;
    };
    return std::make_unique<Sink>(*this, next);
  }

 private:
  std::string prefix_;
  bool clean_up_;
};

// Visible spaces become spaces; in the first token they vanish when encoding put one there.
class MetaspaceStep : public DecoderStep {
 public:
  explicit MetaspaceStep(Metaspace fields) : fields_(std::move(fields)) {}

  std::unique_ptr<TokenSink> start(TokenSink& next, bool) const override {
    class Sink : public SinkOf<MetaspaceStep> {
     public:
      using SinkOf::SinkOf;
      void push(std::string_view token) override {
        const bool first = std::exchange(first_, false);
        const bool drop = first && step_.fields_.prepend != Metaspace::Prepend::kNever;
        std::string text(token);
        replaceAll(text, step_.fields_.replacement, drop ? "" : " ");
        next_.push(text);
      }

     private:
      bool first_ = true;
    };
    return std::make_unique<Sink>(*this, next);
  }

 private:
  Metaspace fields_;
};

// Tokens <0x00> to <0xFF> in a row are bytes. Together they are UTF-8 or each is U+FFFD, so nothing
// of a row is certain before its end.
class ByteFallbackStep : public DecoderStep {
 public:
  std::unique_ptr<TokenSink> start(TokenSink& next, bool) const override {
    class Sink : public TokenSink {
     public:
      explicit Sink(TokenSink& next) : next_(next) {}
      void push(std::string_view token) override {
        if (const std::optional<char> byte = byteOf(token)) {
          row_ += *byte;
          return;
        }
        endRow();
        next_.push(token);
      }
      void finish() override {
        endRow();
        next_.finish();
      }

     private:
      static std::optional<char> byteOf(std::string_view token) {
        if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) {
          return std::nullopt;
        }
        int value = 0;
        for (const char c : token.substr(3, 2)) {
          const bool digit = c >= '0' && c <= '9';
          const char letter = static_cast<char>(c | 0x20);
          if (!digit && (letter < 'a' || letter > 'f')) return std::nullopt;
          value = value * 16 + (digit ? c - '0' : letter - 'a' + 10);
        }
        return static_cast<char>(value);
      }
      void endRow() {
        if (row_.empty()) return;
        if (isValidUtf8(row_)) {
          next_.push(row_);
        } else {
          for (size_t i = 0; i < row_.size(); ++i) next_.push("\xEF\xBF\xBD");
        }
        row_.clear();
      }

      TokenSink& next_;
      std::string row_;
    };
    return std::make_unique<Sink>(next);
  }
};

// Makes one token of all.
class FuseStep : public DecoderStep {
 public:
  std::unique_ptr<TokenSink> start(TokenSink& next, bool) const override {
    class Sink : public TokenSink {
     public:
      explicit Sink(TokenSink& next) : next_(next) {}
      void push(std::string_view token) override { next_.push(token); }
      void finish() override { next_.finish(); }

     private:
      TokenSink& next_;
    };
    return std::make_unique<Sink>(next);
  }
  bool takesFragments() const override { return true; }
  bool fuses() const override { return true; }
};

// Takes up to `start` characters equal to `content` from the front of each token, up to `stop` from
// its end.
class StripStep : public DecoderStep {
 public:
  StripStep(std::string content, uint64_t start, uint64_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}

  std::unique_ptr<TokenSink> start(TokenSink& next, bool fragments) const override {
    class Sink : public SinkOf<StripStep> {
     public:
      Sink(const StripStep& step, TokenSink& next, bool fragments)
          : SinkOf(step, next), fragments_(fragments) {
        begin();
      }
      void push(std::string_view token) override {
        while (left_ > 0 && token.starts_with(step_.content_)) {
          token.remove_prefix(step_.content_.size());
          --left_;
        }
        if (!token.empty()) left_ = 0;
        std::string text;
        // Those at the end may be the ones to take.
        size_t held = 0;
        while (token.ends_with(step_.content_)) {
          token.remove_suffix(step_.content_.size());
          ++held;
        }
        if (!token.empty()) {
          append(text, held_);
          text += token;
          held_ = 0;
        }
        held_ += held;
        if (held_ > step_.stop_) append(text, held_ - step_.stop_);
        held_ = std::min<uint64_t>(held_, step_.stop_);
        if (!fragments_) begin();
        next_.push(text);
      }

     private:
      void begin() {
        left_ = step_.start_;
        held_ = 0;
      }
      void append(std::string& text, uint64_t times) const {
        for (; times > 0; --times) text += step_.content_;
      }

      bool fragments_;
      uint64_t left_ = 0;  // how many may still go from the front
      uint64_t held_ = 0;  // how many came last, at most `stop`
    };
    return std::make_unique<Sink>(*this, next, fragments);
  }
  bool takesFragments() const override { return true; }

 private:
  std::string content_;  // one character
  uint64_t start_, stop_;
};

// A suffix ends words: it becomes a space, at the very end nothing.
class BpeStep : public DecoderStep {
 public:
  explicit BpeStep(std::string suffix) : suffix_(std::move(suffix)) {}

  std::unique_ptr<TokenSink> start(TokenSink& next, bool) const override {
    class Sink : public SinkOf<BpeStep> {
     public:
      using SinkOf::SinkOf;
      void push(std::string_view token) override {
        if (token_) emit(" ");
        token_ = token;
      }
      void finish() override {
        if (token_) emit("");
        next_.finish();
      }

     private:
      void emit(std::string_view replacement) {
        replaceAll(*token_, step_.suffix_, replacement);
        next_.push(*token_);
      }
      std::optional<std::string> token_;  // the last one, which may be the end
    };
    return std::make_unique<Sink>(*this, next);
  }

 private:
  std::string suffix_;
};

// Of equal tokens in a row only one counts (speech models).
class CtcStep : public DecoderStep {
 public:
  CtcStep(std::string pad, std::string delimiter, bool clean_up)
      : pad_(std::move(pad)), delimiter_(std::move(delimiter)), clean_up_(clean_up) {}

  std::unique_ptr<TokenSink> start(TokenSink& next, bool) const override {
    class Sink : public SinkOf<CtcStep> {
     public:
      using SinkOf::SinkOf;
      void push(std::string_view token) override {
        if (last_ == token) return;
        last_ = token;
        std::string text(token);
        replaceAll(text, step_.pad_, "");
        if (step_.clean_up_) {
          cleanUp(text);
          replaceAll(text, step_.delimiter_, " ");
        }
        if (!text.empty()) next_.push(text);
      }

     private:
      std::optional<std::string> last_;
    };
    return std::make_unique<Sink>(*this, next);
  }

 private:
  std::string pad_, delimiter_;
  bool clean_up_;
};

Result<StepPtr> makeStrip(const JsonFields& spec) {
  DCC_ASSIGN(std::string content, spec.string("content"));
  if (countChars(content) != 1) {
    return spec.error("content",
                      "is \"" + oneLine(content) + "\"; a string of one character is expected");
  }
  DCC_ASSIGN(const int64_t start, spec.integerOr("start", 0, 0));
  DCC_ASSIGN(const int64_t stop, spec.integerOr("stop", 0, 0));
  return StepPtr(std::make_shared<StripStep>(std::move(content), static_cast<uint64_t>(start),
                                             static_cast<uint64_t>(stop)));
}

}  // namespace

Result<StepPtr> makeDecoderStep(const JsonFields& spec) {
  DCC_ASSIGN(const std::string type, spec.string("type"));
  if (type == "ByteLevel") return makeByteLevelDecoder();
  if (type == "ByteFallback") return StepPtr(std::make_shared<ByteFallbackStep>());
  if (type == "Fuse") return StepPtr(std::make_shared<FuseStep>());
  if (type == "Strip") return makeStrip(spec);
  if (type == "Metaspace") {
    DCC_ASSIGN(Metaspace fields, Metaspace::read(spec));
    return StepPtr(std::make_shared<MetaspaceStep>(std::move(fields)));
  }
  if (type == "WordPiece") {
    DCC_ASSIGN(std::string prefix, spec.stringOr("prefix", "##"));
    DCC_ASSIGN(const bool clean_up, spec.booleanOr("cleanup", true));
    return StepPtr(std::make_shared<WordPieceStep>(std::move(prefix), clean_up));
  }
  if (type == "Replace") {
    DCC_ASSIGN(Pattern pattern, Pattern::read(spec));
    DCC_ASSIGN(std::string content, spec.string("content"));
    return StepPtr(std::make_shared<ReplaceStep>(std::move(pattern), std::move(content)));
  }
  if (type == "BPEDecoder") {
    DCC_ASSIGN(std::string suffix, spec.stringOr("suffix", "</w>"));
    return StepPtr(std::make_shared<BpeStep>(std::move(suffix)));
  }
  if (type == "CTC") {
    DCC_ASSIGN(std::string pad, spec.stringOr("pad_token", "<pad>"));
    DCC_ASSIGN(std::string delimiter, spec.stringOr("word_delimiter_token", "|"));
    DCC_ASSIGN(const bool clean_up, spec.booleanOr("cleanup", true));
    return StepPtr(std::make_shared<CtcStep>(std::move(pad), std::move(delimiter), clean_up));
  }
  return spec.error("type", "is \"" + oneLine(type) +
                                "\", which is not supported; Sequence, ByteLevel, ByteFallback, "
                                "Fuse, Strip, Metaspace, WordPiece, Replace, BPEDecoder or CTC is "
                                "expected");
}

}  // namespace dcc::text
