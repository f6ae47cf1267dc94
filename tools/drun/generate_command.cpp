#include <unistd.h>

#include <algorithm>
#include <functional>
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
  Status run(StepLoop& loop) override {
    return runAll([&] { return loop.lead(*scheduler_, *results_); });
  }
  Status deal(Dealer& dealer) override {
    return runAll([&]() -> Status {
      const auto first = static_cast<uint32_t>(submitted_ - requests_.size());
      DCC_RETURN_IF_ERROR(dealer.lead(requests_, first, *results_));
      requests_.clear();
      return Status::success();
    });
  }
  std::vector<uint64_t> lengths() const override {
    std::vector<uint64_t> lengths;
    if (asks_) lengths.push_back(scheduler_->context());  // one after the other, of any length
    for (const generate::Request& request : requests_) {
      lengths.push_back(
          std::min(scheduler_->context(), request.prompt.size() + request.max_new_tokens));
    }
    return lengths;
  }
  generate::SamplingOptions sampling() const override {
    return generate::chooseSampling(files_.generation, options_.sampling);
  }

 private:
  Status submit(const Prompt& prompt);
  // Writes all that was submitted.
  using Write = std::function<Status()>;
  Status runAll(const Write& write) { return asks_ ? ask(write) : finishAll(write); }
  Status ask(const Write& write);
  Status finishAll(const Write& write);

  const Options& options_;
  Waiting waiting_;
  Output output_;
  PlanFiles files_;
  std::optional<Scheduler> scheduler_;
  std::optional<Results> results_;
  std::vector<generate::Request> requests_;  // submitted, for a dealer
  size_t submitted_ = 0;
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
  requests_.push_back(request);
  const auto added = scheduler_->add(std::move(request), prompt.where);
  if (!added.ok()) {
    requests_.pop_back();
    return added.error();
  }
  ++submitted_;
  results_->expect(prompt);
  return Status::success();
}

Status GenerateCommand::finishAll(const Write& write) {
  results_->start();
  DCC_RETURN_IF_ERROR(write());
  return results_->status();
}

// A conversation of single prompts, until the terminal says end of file.
Status GenerateCommand::ask(const Write& write) {
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
    DCC_RETURN_IF_ERROR(finishAll(write));
  }
  std::cerr << "\n";
  return Status::success();
}

}  // namespace

std::unique_ptr<RankZeroCommand> generateCommand(const Options& options, Waiting waiting) {
  return std::make_unique<GenerateCommand>(options, std::move(waiting));
}

}  // namespace dcc::drun
