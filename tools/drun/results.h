// What generation prints: the new text of each prompt in input order, or a JSON line each.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/progress.h"
#include "runtime/generate/scheduler.h"
#include "tools/drun/prompts.h"
#include "tools/drun/stdio.h"
#include "tools/drun/stop.h"

namespace dcc::drun {

class Results final : public generate::Listener {
 public:
  // `tokenizer` may be null: then plain output is token ids. `limit` says in a message what ends a
  // sequence that could not become as long as was asked for. `stop`: texts that end a continuation.
  Results(const text::Tokenizer* tokenizer, bool json, Output& output, std::string limit,
          std::vector<std::string> stop = {});

  // The steps begin: until something is printed, a line on the terminal says how far the prompts
  // are.
  void start() { progress_.emplace("reading the prompt", "tokens"); }
  // Expects the results of one more prompt, which the scheduler knows by the next number.
  void expect(const Prompt& prompt);

  void onStep(const generate::PromptTokens& prompts) override {
    if (progress_) progress_->update(prompts.done, prompts.all);
  }
  bool onToken(uint32_t request, int32_t token) override;
  void onFinish(uint32_t request, generate::Finish why) override;

  bool stopped() const override { return !status_.ok() || output_.closed(); }

  // The first error of the output.
  const Status& status() const { return status_; }

 private:
  struct Entry {
    Prompt prompt;
    std::vector<int32_t> ids;
    std::unique_ptr<text::TextStream> stream;
    StopTexts stop{{}};
    std::string text;  // not yet printed (plain), or all (JSON)
    bool finished = false;
  };

  void print();
  void write(std::string_view text);
  std::string jsonLine(const Entry& entry) const;

  const text::Tokenizer* tokenizer_;
  bool json_;
  Output& output_;
  std::string limit_;
  std::vector<std::string> stop_;
  std::vector<Entry> entries_;
  size_t current_ = 0;  // the first whose output is not complete
  Status status_;
  std::optional<Progress> progress_;
};

}  // namespace dcc::drun
