// Decoders that change one token at a time, and the choice among all.
#include <optional>
#include <utility>

#include "runtime/text/decoder.h"
#include "runtime/text/metaspace.h"
#include "runtime/text/oniguruma.h"
#include "runtime/text/pattern.h"

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

}  // namespace

Result<StepPtr> makeDecoderStep(const JsonFields& spec) {
  DCC_ASSIGN(const std::string type, spec.string("type"));
  if (type == "ByteLevel") return makeByteLevelDecoder();
  if (type == "ByteFallback") return makeByteFallbackDecoder();
  if (type == "Fuse") return makeFuseDecoder();
  if (type == "Strip") return makeStripDecoder(spec);
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
