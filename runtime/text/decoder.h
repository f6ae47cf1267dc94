// Decoders of tokenizer.json: from the strings of tokens to text. They run on a stream, so that
// text can be shown while tokens arrive, and what a stream gives is by construction what decoding
// all tokens at once gives.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/json.h"
#include "runtime/base/status.h"

namespace dcc::text {

// Takes the tokens of one text in order. All strings are valid UTF-8.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  virtual void push(std::string_view token) = 0;
  virtual void finish() = 0;  // no more tokens come
};

// One decoder: maps a list of tokens to another. Immutable.
class DecoderStep {
 public:
  virtual ~DecoderStep() = default;
  // Its work on one text. What it gives goes to `next`, which outlives it. With `fragments` it gets
  // parts of a single token instead of tokens (only if it takes them).
  virtual std::unique_ptr<TokenSink> start(TokenSink& next, bool fragments) const = 0;
  virtual bool takesFragments() const { return false; }
  // Whether it makes a single token of all, and gives that in fragments.
  virtual bool fuses() const { return false; }
};

class Decoder {
 public:
  Decoder();  // none: tokens with spaces between them
  // `spec` is the value of "decoder". Errors (user) begin with `where`.
  static Result<Decoder> read(const nlohmann::json& spec, const std::string& where);

  // The work on one text; refers to the Decoder.
  class Run {
   public:
    explicit Run(const Decoder& decoder);
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    void push(std::string_view token) { first_->push(token); }
    void finish() { first_->finish(); }
    std::string take() { return std::exchange(text_, {}); }  // the text since the last call

   private:
    std::string text_;
    std::vector<std::unique_ptr<TokenSink>> sinks_;  // from the last to the first
    TokenSink* first_;
  };

 private:
  Status addStep(const nlohmann::json& spec, const std::string& where);
  std::vector<std::shared_ptr<const DecoderStep>> steps_;
};

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

// One of the decoders that Sequence lists, chosen by its "type" (decoder_steps.cpp).
Result<std::shared_ptr<const DecoderStep>> makeDecoderStep(const JsonFields& spec);
// ByteLevel: bytes in GPT-2's alphabet.
std::shared_ptr<const DecoderStep> makeByteLevelDecoder();
std::shared_ptr<const DecoderStep> makeByteFallbackDecoder();
std::shared_ptr<const DecoderStep> makeFuseDecoder();
Result<std::shared_ptr<const DecoderStep>> makeStripDecoder(const JsonFields& spec);

}  // namespace dcc::text
