#include "tools/drun/input.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/base/file.h"
#include "runtime/base/unique_fd.h"

namespace dcc::drun {
namespace {

Result<std::vector<Prompt>> defaultPrompt(const PlanFiles& files) {
  if (files.prompt && files.tokenizer) {
    return std::vector<Prompt>{{"the model's prompt", files.prompt, {}}};
  }
  if (!files.generation.bos) {
    return userError("no prompt: stdin is empty, and " + files.dir +
                     " names neither a prompt nor a begin-of-sequence token; give --prompt");
  }
  return std::vector<Prompt>{{"the empty prompt", std::nullopt, {*files.generation.bos}}};
}

Result<std::vector<Prompt>> fromStdin(const PlanFiles& files, const Waiting& waiting) {
  DCC_ASSIGN(const std::string text, readAll(STDIN_FILENO, "stdin", kMaxInputBytes, waiting));
  if (text.empty()) return defaultPrompt(files);
  return promptsFromLines(text, "stdin");
}

std::vector<Prompt> fromOptions(const std::vector<std::string>& texts) {
  std::vector<Prompt> prompts;
  for (const std::string& text : texts) {
    const std::string number = texts.size() == 1 ? "" : " " + std::to_string(prompts.size() + 1);
    prompts.push_back({"prompt" + number, text, {}});
  }
  return prompts;
}

}  // namespace

Result<InputText> readInputText(const std::string& path, const Waiting& waiting) {
  const bool standard = path == "-";
  UniqueFd fd(standard ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fileError(path, "cannot be read", errno);
  const std::string name = standard ? "stdin" : path;
  DCC_ASSIGN(std::string text, readAll(fd.get(), name, kMaxInputBytes, waiting));
  return InputText{std::move(text), name};
}

Result<std::vector<Prompt>> readInput(const std::string& path, const Waiting& waiting) {
  DCC_ASSIGN(const InputText input, readInputText(path, waiting));
  return promptsFromJsonl(input.text, input.name, waiting);
}

Result<std::vector<Prompt>> gatherPrompts(const Options& options, const PlanFiles& files,
                                          const Waiting& waiting) {
  std::vector<Prompt> prompts;
  if (!options.prompts.empty()) {
    prompts = fromOptions(options.prompts);
  } else if (!options.input.empty()) {
    DCC_ASSIGN(prompts, readInput(options.input, waiting));
  } else if (::isatty(STDIN_FILENO) == 0) {
    DCC_ASSIGN(prompts, fromStdin(files, waiting));
  }
  DCC_RETURN_IF_ERROR(toTokens(prompts, files, waiting));
  return prompts;
}

Status toTokens(std::vector<Prompt>& prompts, const PlanFiles& files, const Waiting& waiting) {
  DCC_RETURN_IF_ERROR(encodePrompts(prompts, files.tokenizerOrNull(), files.dir, waiting));
  for (Prompt& prompt : prompts) {
    if (prompt.text && prompt.ids.empty() && files.generation.bos) {
      prompt.ids = {*files.generation.bos};
    }
  }
  return Status::success();
}

}  // namespace dcc::drun
