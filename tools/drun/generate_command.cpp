#include <unistd.h>

#include <iostream>
#include <optional>

#include "runtime/base/printable.h"
#include "tools/drun/command.h"
#include "tools/drun/input.h"
#include "tools/drun/results.h"

namespace dcc::drun {
namespace {

using generate::Scheduler;
using generate::StepLoop;

constexpr uint32_t kUsualNewTokens = 128;

class GenerateCommand final : public RankZeroCommand {
 public:
  GenerateCommand(const Options& options, Waiting waiting)
      : options_(options), waiting_(std::move(waiting)), output_(waiting_) {}

  Status prepare(const generate::Limits& limits) override;
  Status run(StepLoop& loop) override;
  generate::SamplingOptions sampling() const override {
    return generate::chooseSampling(files_.generation, options_.sampling);
  }

 private:
  Status submit(const Prompt& prompt);
  Status ask(StepLoop& loop);
  Status finishAll(StepLoop& loop);

  const Options& options_;
  Waiting waiting_;
  Output output_;
  PlanFiles files_;
  std::optional<Scheduler> scheduler_;
  std::optional<Results> results_;
  bool asks_ = false;
};

Status GenerateCommand::prepare(const generate::Limits& limits) {
  DCC_ASSIGN(files_, readPlanFiles(options_.dir));
  DCC_RETURN_IF_ERROR(files_.canGenerate());
  DCC_ASSIGN(scheduler_, Scheduler::create(limits, generate::StepKind::kGenerate));
  if (!options_.stop.empty() && !files_.tokenizer) {
    return userError(files_.dir + ": has no tokenizer.json, so there is no text for --stop");
  }
  results_.emplace(files_.tokenizerOrNull(), options_.json, output_, scheduler_->contextReason(),
                   options_.stop);
  asks_ = options_.prompts.empty() && options_.input.empty() && ::isatty(STDIN_FILENO) != 0;
  if (asks_ && !files_.tokenizer) {
    return userError(files_.dir + ": has no tokenizer.json; give token ids with --input");
  }
  DCC_ASSIGN(const std::vector<Prompt> prompts, gatherPrompts(options_, files_, waiting_));
  for (const Prompt& prompt : prompts) DCC_RETURN_IF_ERROR(submit(prompt));
  return Status::success();
}

Status GenerateCommand::submit(const Prompt& prompt) {
  generate::Request request;
  request.prompt = prompt.ids;
  request.max_new_tokens =
      options_.max_new_tokens.value_or(files_.generation.max_new_tokens.value_or(kUsualNewTokens));
  if (!options_.ignore_eos) request.eos = files_.generation.eos;
  DCC_RETURN_IF_ERROR(scheduler_->add(std::move(request), prompt.where));
  results_->expect(prompt);
  return Status::success();
}

Status GenerateCommand::run(StepLoop& loop) { return asks_ ? ask(loop) : finishAll(loop); }

Status GenerateCommand::finishAll(StepLoop& loop) {
  results_->start();
  DCC_RETURN_IF_ERROR(loop.lead(*scheduler_, *results_));
  return results_->status();
}

// A conversation of single prompts, until the terminal says end of file.
Status GenerateCommand::ask(StepLoop& loop) {
  LineReader lines(STDIN_FILENO);
  const std::string hint = files_.prompt ? " (Enter: \"" + printable(*files_.prompt) + "\")" : "";
  while (!output_.closed()) {
    std::cerr << "prompt" + hint + ": " << std::flush;
    std::vector<Prompt> prompt{{"prompt", std::string(), {}}};
    DCC_ASSIGN(const bool more, lines.next(*prompt[0].text, waiting_));
    if (!more) break;
    if (prompt[0].text->empty() && files_.prompt) prompt[0].text = files_.prompt;
    // A mistyped prompt is no reason to leave.
    Status status = toTokens(prompt, files_);
    if (status.ok()) status = submit(prompt[0]);
    if (!status.ok()) {
      std::cerr << "error: " << status.error().message << "\n";
      continue;
    }
    DCC_RETURN_IF_ERROR(finishAll(loop));
  }
  std::cerr << "\n";
  return Status::success();
}

}  // namespace

std::unique_ptr<RankZeroCommand> generateCommand(const Options& options, Waiting waiting) {
  return std::make_unique<GenerateCommand>(options, std::move(waiting));
}

}  // namespace dcc::drun
