#include "runtime/text/byte_alphabet.h"
#include "runtime/text/decoder.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

class Sink : public TokenSink {
 public:
  explicit Sink(TokenSink& next) : next_(next) {}

  void push(std::string_view token) override {
    bytes_.clear();
    // A token with other characters than the alphabet's (an added token) is text already.
    if (!bytesOfAlphabet(token, bytes_)) bytes_ = token;
    text_.clear();
    repair_.push(bytes_, text_);
    next_.push(text_);
  }

  void finish() override {
    text_.clear();
    repair_.finish(text_);
    next_.push(text_);
    next_.finish();
  }

 private:
  TokenSink& next_;
  Utf8Repair repair_;
  std::string bytes_, text_;
};

class ByteLevel : public DecoderStep {
 public:
  std::unique_ptr<TokenSink> start(TokenSink& next, bool) const override {
    return std::make_unique<Sink>(next);
  }
  bool fuses() const override { return true; }
};

}  // namespace

std::shared_ptr<const DecoderStep> makeByteLevelDecoder() { return std::make_shared<ByteLevel>(); }

}  // namespace dcc::text
