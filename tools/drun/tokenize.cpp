#include "tools/drun/tokenize.h"

#include <nlohmann/json.hpp>

#include "runtime/base/json.h"
#include "runtime/text/chat/chat_template.h"
#include "runtime/text/tokenizer.h"
#include "tools/drun/input.h"

namespace dcc::drun {

namespace {

std::string inputOf(const Options& options) { return options.input.empty() ? "-" : options.input; }

// Conversations to the prompts that the model was trained with.
Status renderChats(const Options& options) {
  DCC_ASSIGN(const text::ChatTemplate chat, text::ChatTemplate::fromDirectory(options.dir));
  DCC_ASSIGN(const InputText input, readInputText(inputOf(options), nullptr));
  Output output(nullptr);
  const auto render = [&](std::string_view line, const std::string& where) -> Status {
    const auto request = parseOrderedJson(line, where);
    if (!request.ok()) return ofLine(request.error(), where);
    DCC_ASSIGN(const jinja::Rendering rendering, chat.render(*request, text::localTime(), where));
    nlohmann::ordered_json result;
    if (rendering.refusal) {
      result["error"] = *rendering.refusal;
    } else {
      result["text"] = rendering.text;
    }
    // In ASCII: what comes of a conversation may hold characters that readers take for line ends.
    return output.write(result.dump(-1, ' ', /*ensure_ascii=*/true) + "\n");
  };
  return forJsonLines(input.text, input.name, render);
}

}  // namespace

Status tokenize(const Options& options) {
  if (options.chat) return renderChats(options);
  DCC_ASSIGN(const text::Tokenizer tokenizer,
             text::Tokenizer::fromFile(options.dir + "/tokenizer.json"));
  DCC_ASSIGN(const std::vector<Prompt> lines, readInput(inputOf(options), nullptr));
  Output output(nullptr);
  for (const Prompt& line : lines) {
    nlohmann::ordered_json result;
    if (options.decode) {
      if (line.text) return userError(line.where + ": {\"input_ids\": [...]} is expected");
      result["text"] = tokenizer.decode(line.ids, options.no_special_tokens);
    } else {
      if (!line.text) return userError(line.where + ": {\"text\": \"...\"} is expected");
      const auto ids = tokenizer.encode(*line.text, !options.no_special_tokens);
      if (!ids.ok()) return userError(line.where + ": " + ids.error().message);
      result["input_ids"] = *ids;
    }
    DCC_RETURN_IF_ERROR(output.write(result.dump() + "\n"));
  }
  return Status::success();
}

}  // namespace dcc::drun
