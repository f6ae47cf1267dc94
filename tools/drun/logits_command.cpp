#include <optional>
#include <string>

#include "runtime/base/progress.h"
#include "runtime/base/safetensors.h"
#include "tools/drun/command.h"
#include "tools/drun/input.h"

namespace dcc::drun {
namespace {

using generate::Scheduler;

// Logits [length, vocabulary] of every line, written as they come.
class LogitsCommand final : public RankZeroCommand, private generate::Listener {
 public:
  LogitsCommand(const Options& options, Waiting waiting)
      : options_(options), waiting_(std::move(waiting)) {}

  Status prepare(const generate::Limits& limits) override;
  std::vector<uint64_t> lengths() const override { return lengths_; }
  Status run(generate::StepLoop& loop) override;

 private:
  void onStep(const generate::PromptTokens& prompts) override {
    progress_->update(prompts.done, prompts.all);
  }
  bool onToken(uint32_t, int32_t) override { return true; }
  void onFinish(uint32_t, generate::Finish) override {}
  Status onLogits(uint32_t request, size_t position, std::span<const float> rows) override {
    return writer_->write(request, position * vocab_, rows);
  }

  const Options& options_;
  Waiting waiting_;
  uint64_t vocab_ = 0;
  std::vector<uint64_t> lengths_;  // of the prompts
  std::optional<Scheduler> scheduler_;
  std::optional<SafetensorsWriter> writer_;
  std::optional<Progress> progress_;
};

Status LogitsCommand::prepare(const generate::Limits& limits) {
  vocab_ = limits.vocab_size;
  DCC_ASSIGN(scheduler_, Scheduler::create(limits, generate::StepKind::kScore));
  DCC_ASSIGN(const PlanFiles files, readPlanFiles(options_.dir));
  DCC_ASSIGN(const std::vector<Prompt> prompts, gatherPrompts(options_, files, waiting_));
  std::vector<SafetensorsWriter::Tensor> tensors;
  for (const Prompt& prompt : prompts) {
    tensors.push_back({std::to_string(tensors.size()), DType::kF32, {prompt.ids.size(), vocab_}});
    lengths_.push_back(prompt.ids.size());
    DCC_RETURN_IF_ERROR(scheduler_->add({prompt.ids, 0, {}}, prompt.where));
  }
  DCC_ASSIGN(SafetensorsWriter writer, SafetensorsWriter::create(options_.output, tensors));
  writer_.emplace(std::move(writer));
  return Status::success();
}

Status LogitsCommand::run(generate::StepLoop& loop) {
  progress_.emplace("reading the prompts", "tokens");
  DCC_RETURN_IF_ERROR(loop.lead(*scheduler_, *this));
  progress_.reset();
  return writer_->finish();
}

}  // namespace

std::unique_ptr<RankZeroCommand> logitsCommand(const Options& options, Waiting waiting) {
  return std::make_unique<LogitsCommand>(options, std::move(waiting));
}

}  // namespace dcc::drun
