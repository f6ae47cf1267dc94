#include "tools/drun/prompts.h"

#include "runtime/base/json.h"

namespace dcc::drun {
namespace {

// Lines without their ends; a last one without a newline counts, an empty rest does not.
template <class Each>
Status forLines(std::string_view text, Each&& each) {
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    DCC_RETURN_IF_ERROR(each(number, line));
  }
  return Status::success();
}

// Integers from 0.
Status readIds(const JsonFields& fields, const char* key, std::vector<int32_t>& to) {
  DCC_ASSIGN(const nlohmann::json* ids, fields.array(key));
  for (const nlohmann::json& id : *ids) {
    const bool right = id.is_number_integer() && id >= 0 && id <= INT32_MAX;
    if (!right) return fields.error(key, "must be token ids, integers from 0");
    to.push_back(id.get<int32_t>());
  }
  return Status::success();
}

}  // namespace

Result<Prompt> promptOf(std::string_view line, const std::string& where) {
  const Result<nlohmann::json> parsed = parseJson(line, where);
  if (!parsed.ok()) return ofLine(parsed.error(), where);
  DCC_ASSIGN(const JsonFields fields, JsonFields::of(*parsed, where));
  Prompt prompt;
  prompt.where = where;
  if (fields.has("text") == fields.has("input_ids")) {
    return userError(where + ": {\"text\": \"...\"} or {\"input_ids\": [...]} is expected");
  }
  if (fields.has("text")) {
    DCC_ASSIGN(prompt.text, fields.string("text"));
    return prompt;
  }
  DCC_RETURN_IF_ERROR(readIds(fields, "input_ids", prompt.ids));
  if (!fields.has("token_type_ids")) return prompt;
  DCC_RETURN_IF_ERROR(readIds(fields, "token_type_ids", prompt.types));
  if (prompt.types.size() == prompt.ids.size()) return prompt;
  return fields.error("token_type_ids", "must be as many as input_ids");
}

Error ofLine(const Error& error, const std::string& where) {
  // It counts lines within its text, which is one line of ours.
  std::string message = error.message;
  if (message.compare(0, where.size() + 3, where + ":1:") == 0) message.erase(where.size(), 2);
  return Error{message, error.fault};
}

Status forJsonLines(
    std::string_view text, const std::string& name,
    const std::function<Status(std::string_view line, const std::string& where)>& each) {
  return forLines(text, [&](size_t number, std::string_view line) -> Status {
    if (line.find_first_not_of(" \t") == std::string_view::npos) return Status::success();
    return each(line, name + ":" + std::to_string(number));
  });
}

Result<std::vector<Prompt>> promptsFromJsonl(std::string_view text, const std::string& name,
                                             const Waiting& waiting) {
  std::vector<Prompt> prompts;
  DCC_RETURN_IF_ERROR(
      forJsonLines(text, name, [&](std::string_view line, const std::string& where) -> Status {
        DCC_ASSIGN(Prompt prompt, promptOf(line, where));
        prompts.push_back(std::move(prompt));
        if (waiting) DCC_RETURN_IF_ERROR(waiting());
        return Status::success();
      }));
  return prompts;
}

std::vector<Prompt> promptsFromLines(std::string_view text, const std::string& name) {
  std::vector<Prompt> prompts;
  (void)forLines(text, [&](size_t number, std::string_view line) {
    prompts.push_back({name + ":" + std::to_string(number), std::string(line), {}});
    return Status::success();
  });
  return prompts;
}

Status encodePrompts(std::vector<Prompt>& prompts, const text::Tokenizer* tokenizer,
                     const std::string& dir, const Waiting& waiting) {
  for (Prompt& prompt : prompts) {
    if (waiting) DCC_RETURN_IF_ERROR(waiting());
    if (!prompt.text) continue;
    if (tokenizer == nullptr) {
      return userError(prompt.where + ": a text, but " + dir +
                       " has no tokenizer.json; give token ids: {\"input_ids\": [...]}");
    }
    Result<std::vector<int32_t>> ids = tokenizer->encode(*prompt.text);
    if (!ids.ok()) return userError(prompt.where + ": " + ids.error().message);
    prompt.ids = std::move(ids).value();
  }
  return Status::success();
}

}  // namespace dcc::drun
