// What the model says in a conversation: printed as it comes, and kept.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/base/progress.h"
#include "runtime/generate/scheduler.h"
#include "runtime/text/tokenizer.h"
#include "tools/drun/stdio.h"
#include "tools/drun/stop.h"

namespace dcc::drun {

// The listener of one request. Special tokens are no part of the text.
class Answer final : public generate::Listener {
 public:
  // `limit` says what ends an answer that could not go on; `stop`: texts that end it.
  Answer(const text::Tokenizer& tokenizer, Output& output, std::string limit,
         const std::vector<std::string>& stop);

  void onStep(const generate::PromptTokens& prompts) override {
    if (progress_) progress_->update(prompts.done, prompts.all);
  }
  bool onToken(uint32_t request, int32_t token) override;
  void onFinish(uint32_t request, generate::Finish why) override;
  bool stopped() const override { return !status_.ok() || output_.closed(); }

  // All that was printed, without the end of its last line.
  const std::string& text() const { return text_; }
  // The first error of the output.
  const Status& status() const { return status_; }

 private:
  void print(std::string_view text);

  text::TextStream stream_;
  Output& output_;
  std::string limit_;
  StopTexts stop_;
  std::string text_;
  Status status_;
  std::optional<Progress> progress_;
};

}  // namespace dcc::drun
