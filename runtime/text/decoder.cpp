#include "runtime/text/decoder.h"

#include <utility>

#include "runtime/text/limits.h"

namespace dcc::text {
namespace {

// The end of the chain.
class Collect : public TokenSink {
 public:
  explicit Collect(std::string& text) : text_(text) {}
  void push(std::string_view token) override { text_ += token; }
  void finish() override {}

 private:
  std::string& text_;
};

// Makes a token of fragments, for a step that needs it whole.
class Gather : public TokenSink {
 public:
  explicit Gather(TokenSink& next) : next_(next) {}
  void push(std::string_view fragment) override { token_ += fragment; }
  void finish() override {
    next_.push(token_);
    next_.finish();
  }

 private:
  TokenSink& next_;
  std::string token_;
};

// What happens without a decoder.
class Join : public DecoderStep {
  class Sink : public TokenSink {
   public:
    explicit Sink(TokenSink& next) : next_(next) {}
    void push(std::string_view token) override {
      if (!std::exchange(first_, false)) next_.push(" ");
      next_.push(token);
    }
    void finish() override { next_.finish(); }

   private:
    TokenSink& next_;
    bool first_ = true;
  };

 public:
  std::unique_ptr<TokenSink> start(TokenSink& next, bool) const override {
    return std::make_unique<Sink>(next);
  }
};

}  // namespace

Decoder::Decoder() : steps_{std::make_shared<Join>()} {}

Result<Decoder> Decoder::read(const nlohmann::json& spec, const std::string& where) {
  Decoder decoder;
  decoder.steps_.clear();
  DCC_RETURN_IF_ERROR(decoder.addStep(spec, where));
  DCC_RETURN_IF_ERROR(checkSteps(where, decoder.steps_.size()));
  return decoder;
}

Status Decoder::addStep(const nlohmann::json& json, const std::string& where) {
  DCC_ASSIGN(const JsonFields spec, JsonFields::of(json, where));
  DCC_ASSIGN(const std::string type, spec.string("type"));
  if (type == "Sequence") {
    DCC_ASSIGN(const nlohmann::json* list, spec.array("decoders"));
    for (size_t i = 0; i < list->size(); ++i) {
      DCC_RETURN_IF_ERROR(addStep((*list)[i], where + "[" + std::to_string(i) + "]"));
    }
    return Status::success();
  }
  DCC_ASSIGN(std::shared_ptr<const DecoderStep> step, makeDecoderStep(spec));
  steps_.push_back(std::move(step));
  return Status::success();
}

Decoder::Run::Run(const Decoder& decoder) {
  // Which steps get fragments is known from the front, sinks are made from the back.
  bool fragments = false;
  std::vector<std::pair<bool, bool>> modes;  // fragments arrive; they are gathered
  for (const auto& step : decoder.steps_) {
    const bool gather = fragments && !step->takesFragments();
    modes.emplace_back(fragments, gather);
    fragments = step->fuses() || (fragments && !gather);
  }
  sinks_.push_back(std::make_unique<Collect>(text_));
  for (size_t i = decoder.steps_.size(); i-- > 0;) {
    const auto [arrive, gather] = modes[i];
    sinks_.push_back(decoder.steps_[i]->start(*sinks_.back(), arrive && !gather));
    if (gather) sinks_.push_back(std::make_unique<Gather>(*sinks_.back()));
  }
  first_ = sinks_.back().get();
}

}  // namespace dcc::text
