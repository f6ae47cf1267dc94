// The decoders of SentencePiece's models: bytes, all tokens as one, spaces off the ends.
#include <algorithm>
#include <optional>

#include "runtime/text/decoder.h"
#include "runtime/text/oniguruma.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

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

}  // namespace

std::shared_ptr<const DecoderStep> makeByteFallbackDecoder() {
  return std::make_shared<ByteFallbackStep>();
}

std::shared_ptr<const DecoderStep> makeFuseDecoder() { return std::make_shared<FuseStep>(); }

Result<std::shared_ptr<const DecoderStep>> makeStripDecoder(const JsonFields& spec) {
  DCC_ASSIGN(std::string content, spec.string("content"));
  if (countChars(content) != 1) {
    return spec.error("content",
                      "is \"" + oneLine(content) + "\"; a string of one character is expected");
  }
  DCC_ASSIGN(const int64_t start, spec.integerOr("start", 0, 0));
  DCC_ASSIGN(const int64_t stop, spec.integerOr("stop", 0, 0));
  return std::shared_ptr<const DecoderStep>(std::make_shared<StripStep>(
      std::move(content), static_cast<uint64_t>(start), static_cast<uint64_t>(stop)));
}

}  // namespace dcc::text
