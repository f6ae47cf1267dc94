#include <unistd.h>

#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/text/chat/chat_template.h"
#include "runtime/text/utf8.h"
#include "tools/drun/answer.h"
#include "tools/drun/command.h"
#include "tools/drun/plan_files.h"

namespace dcc::drun {
namespace {

using generate::Scheduler;
using nlohmann::ordered_json;

// A conversation: every line is a turn of the user's, and the model sees all turns before it.
class ChatCommand final : public RankZeroCommand {
 public:
  ChatCommand(const Options& options, Waiting waiting)
      : options_(options), waiting_(std::move(waiting)), output_(waiting_) {}

  Status prepare(const generate::Limits& limits) override;
  Status run(generate::StepLoop& loop) override;
  std::vector<uint64_t> lengths() const override { return {scheduler_->context()}; }
  generate::SamplingOptions sampling() const override {
    return generate::chooseSampling(files_.generation, options_.sampling);
  }

 private:
  Result<std::vector<int32_t>> promptWith(const std::string& line, const std::string& where) const;
  Status turn(generate::StepLoop& loop, const std::string& line, const std::string& where);

  const Options& options_;
  Waiting waiting_;
  Output output_;
  PlanFiles files_;
  std::optional<text::ChatTemplate> template_;
  std::optional<Scheduler> scheduler_;
  ordered_json messages_ = ordered_json::array();
};

ordered_json message(const char* role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

Status checkUtf8(const std::string& text, const std::string& where) {
  if (text::isValidUtf8(text)) return Status::success();
  return userError(where + ": is not UTF-8; valid UTF-8 is expected");
}

Status ChatCommand::prepare(const generate::Limits& limits) {
  DCC_ASSIGN(files_, readPlanFiles(options_.dir));
  DCC_RETURN_IF_ERROR(files_.canGenerate());
  if (!files_.tokenizer) return userError(files_.dir + ": has no tokenizer.json to chat with");
  DCC_ASSIGN(template_, text::ChatTemplate::fromDirectory(files_.dir));
  DCC_ASSIGN(scheduler_, Scheduler::create(limits, generate::StepKind::kGenerate));
  if (options_.system) {
    DCC_RETURN_IF_ERROR(checkUtf8(*options_.system, "--system"));
    messages_.push_back(message("system", *options_.system));
  }
  // A template that can't be used, or takes no system message, is found before weights are read.
  const auto tried = promptWith("Hi", options_.system ? "--system" : files_.dir);
  return tried.ok() ? Status::success() : Status(tried.error());
}

// The whole conversation and the beginning of an answer. Special tokens are all in the template.
Result<std::vector<int32_t>> ChatCommand::promptWith(const std::string& line,
                                                     const std::string& where) const {
  ordered_json request = {{"messages", messages_}, {"add_generation_prompt", true}};
  request["messages"].push_back(message("user", line));
  DCC_ASSIGN(const jinja::Rendering rendering,
             template_->render(request, text::localTime(), where));
  if (rendering.refusal) {
    return userError(where + ": the chat template refuses: " + *rendering.refusal);
  }
  Result<std::vector<int32_t>> ids = files_.tokenizer->encode(rendering.text, /*special=*/false);
  if (!ids.ok()) return userError(where + ": " + ids.error().message);
  return ids;
}

Status ChatCommand::turn(generate::StepLoop& loop, const std::string& line,
                         const std::string& where) {
  DCC_RETURN_IF_ERROR(checkUtf8(line, where));
  generate::Request request;
  DCC_ASSIGN(request.prompt, promptWith(line, where));
  request.eos = files_.generation.eos;
  // Without a limit: as long as there is room.
  request.max_new_tokens = options_.max_new_tokens.value_or(
      files_.generation.max_new_tokens.value_or(std::numeric_limits<int32_t>::max()));
  DCC_RETURN_IF_ERROR(scheduler_->add(std::move(request), where));
  Answer answer(*files_.tokenizer, output_, scheduler_->contextReason(), options_.stop);
  // Whatever is wrong from here on is not the turn's fault.
  const auto fatal = [](const Status& status) {
    return status.ok() ? status : Status(runtimeError(status.error().message));
  };
  DCC_RETURN_IF_ERROR(fatal(loop.lead(*scheduler_, answer)));
  messages_.push_back(message("user", line));
  messages_.push_back(message("assistant", answer.text()));
  return fatal(answer.status());
}

Status ChatCommand::run(generate::StepLoop& loop) {
  const bool asks = ::isatty(STDIN_FILENO) != 0;
  LineReader lines(STDIN_FILENO);
  std::string line;
  for (size_t number = 1; !output_.closed(); ++number) {
    if (asks) std::cerr << "> " << std::flush;
    DCC_ASSIGN(const bool more, lines.next(line, waiting_));
    if (!more) break;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    const Status status = turn(loop, line, asks ? "prompt" : "stdin:" + std::to_string(number));
    if (status.ok()) continue;
    // A turn that can't be is no reason to leave; without a user there is nobody to try another.
    if (!asks || status.error().fault != Fault::kUser) return status;
    std::cerr << "error: " << status.error().message << "\n";
  }
  if (asks) std::cerr << "\n";
  return Status::success();
}

}  // namespace

std::unique_ptr<RankZeroCommand> chatCommand(const Options& options, Waiting waiting) {
  return std::make_unique<ChatCommand>(options, std::move(waiting));
}

}  // namespace dcc::drun
