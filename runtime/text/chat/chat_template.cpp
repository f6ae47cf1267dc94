#include "runtime/text/chat/chat_template.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/text/chat/special_tokens.h"

namespace dcc::text {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr uint64_t kMostTemplateBytes = 1 << 20;
// Names that the reasoning of a message goes by, the standard one first.
constexpr std::array<const char*, 3> kReasoning = {"reasoning_content", "thinking", "reasoning"};

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// Without what is null, for which many templates would write "None", and with the reasoning under
// the names that templates read.
ordered_json prepared(const ordered_json& message) {
  const ordered_json* reasoning = nullptr;
  for (const char* name : kReasoning) {
    const auto found = message.find(name);
    if (reasoning == nullptr && found != message.end() && !found->is_null()) reasoning = &*found;
  }
  ordered_json result = ordered_json::object();
  // Its keys are unique as they are; looking for each of them would be quadratic.
  auto& fields = result.get_ref<ordered_json::object_t&>();
  if (reasoning != nullptr) fields.emplace_back("thinking", *reasoning);
  bool standard = reasoning == nullptr;
  for (const auto& [key, value] : message.items()) {
    if (value.is_null()) continue;
    if (reasoning != nullptr && key == "thinking") {
      fields.front().second = value;
    } else if (reasoning != nullptr && key == kReasoning[0]) {
      fields.emplace_back(key, *reasoning);
      standard = true;
    } else {
      fields.emplace_back(key, value);
    }
  }
  if (!standard) fields.emplace_back(kReasoning[0], *reasoning);
  return result;
}

Error wrong(const std::string& where, const std::string& what) {
  return userError(where + ": " + what);
}

Result<ordered_json> messagesOf(const ordered_json& request, const std::string& where) {
  const auto found = request.find("messages");
  if (found == request.end() || !found->is_array()) {
    return wrong(where, "{\"messages\": [{\"role\": ..., \"content\": ...}, ...]} is expected");
  }
  if (found->empty()) return wrong(where, "messages: there are none; at least one is expected");
  ordered_json messages = ordered_json::array();
  for (const ordered_json& message : *found) {
    if (!message.is_object()) {
      return wrong(where, "messages: every message must be an object with role and content");
    }
    messages.push_back(prepared(message));
  }
  return messages;
}

Status checkObjects(const ordered_json& request, const char* field, const std::string& where) {
  const auto found = request.find(field);
  if (found == request.end() || found->is_null()) return Status::success();
  const bool right =
      found->is_array() &&
      std::all_of(found->begin(), found->end(), [](const auto& one) { return one.is_object(); });
  return right ? Status::success()
               : Status(wrong(where, std::string(field) + ": must be an array of objects"));
}

}  // namespace

Result<ChatTemplate> ChatTemplate::fromDirectory(const std::string& dir) {
  ChatTemplate chat;
  chat.dir_ = dir;
  DCC_RETURN_IF_ERROR(chat.readFiles(dir));
  if (const std::string path = dir + "/tokenizer_config.json"; exists(path)) {
    DCC_ASSIGN(const json config, readJson(path));
    DCC_ASSIGN(chat.special_tokens_, specialTokens(config, path, dir));
    if (chat.templates_.empty()) DCC_RETURN_IF_ERROR(chat.readConfig(config, path));
  }
  if (chat.templates_.empty()) {
    return userError(dir + ": has no chat template, neither chat_template.jinja nor one in " +
                     "tokenizer_config.json; models that are made for chats have one");
  }
  return chat;
}

void ChatTemplate::add(const std::string& name, const std::string& source,
                       const std::string& where) {
  templates_.push_back({name, jinja::Template::parse(source, where)});
}

Status ChatTemplate::readFiles(const std::string& dir) {
  std::vector<std::pair<std::string, std::string>> paths;
  if (const std::string path = dir + "/chat_template.jinja"; exists(path)) {
    paths.emplace_back("default", path);
  }
  single_ = !paths.empty();
  std::error_code error;  // mostly, there is no such folder
  for (fs::directory_iterator it(dir + "/additional_chat_templates", error), end;
       !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".jinja") continue;
    paths.emplace_back(it->path().stem().string(), it->path().string());
    single_ = false;
  }
  for (const auto& [name, path] : paths) {
    DCC_ASSIGN(const std::string source, readFile(path, kMostTemplateBytes));
    add(name, source, path);
  }
  return Status::success();
}

Status ChatTemplate::readConfig(const json& config, const std::string& path) {
  DCC_ASSIGN(const JsonFields fields, JsonFields::of(config, path));
  const json* value = fields.find("chat_template");
  if (value == nullptr) return Status::success();
  const std::string where = path + ": chat_template";
  if (value->is_string()) {
    single_ = true;
    add("default", value->get<std::string>(), where);
  } else if (value->is_object()) {
    for (const auto& [name, source] : value->items()) {
      if (!source.is_string()) return fields.error("chat_template", "must hold templates by name");
      add(name, source.get<std::string>(), where + ": " + name);
    }
  } else if (value->is_array()) {
    for (const json& one : *value) {
      DCC_ASSIGN(const JsonFields named, JsonFields::of(one, where));
      DCC_ASSIGN(const std::string name, named.string("name"));
      DCC_ASSIGN(const std::string source, named.string("template"));
      add(name, source, where + ": " + name);
    }
  } else {
    return fields.error("chat_template", "must be a template, or a list of named ones");
  }
  return Status::success();
}

Result<const jinja::Template*> ChatTemplate::choose(bool tools) const {
  const auto named = [&](std::string_view name) {
    return std::find_if(templates_.begin(), templates_.end(),
                        [&](const Named& one) { return one.name == name; });
  };
  auto found = tools && !single_ ? named("tool_use") : templates_.end();
  if (found == templates_.end()) found = single_ ? templates_.begin() : named("default");
  if (found == templates_.end()) {
    std::string names;
    for (const Named& one : templates_) names += (names.empty() ? "" : ", ") + one.name;
    return userError(dir_ + ": has the chat templates " + names +
                     "; one of them must be called default");
  }
  if (!found->parsed.ok()) return found->parsed.error();
  return &*found->parsed;
}

Result<jinja::Rendering> ChatTemplate::render(const ordered_json& request, const std::tm& now,
                                              const std::string& where) const {
  if (!request.is_object()) return wrong(where, "an object with messages is expected");
  DCC_ASSIGN(ordered_json messages, messagesOf(request, where));
  for (const char* field : {"tools", "documents"}) {
    DCC_RETURN_IF_ERROR(checkObjects(request, field, where));
  }
  jinja::Variables variables = special_tokens_;
  variables["add_generation_prompt"] = false;
  variables["tools"] = nullptr;
  variables["documents"] = nullptr;
  for (const auto& [key, value] : request.items()) {
    if (key != "kwargs") variables[key] = value;
  }
  if (const auto more = request.find("kwargs"); more != request.end() && !more->is_null()) {
    if (!more->is_object()) return wrong(where, "kwargs: must be an object");
    for (const auto& [key, value] : more->items()) variables[key] = value;
  }
  if (!variables["add_generation_prompt"].is_boolean()) {
    return wrong(where, "add_generation_prompt: must be true or false");
  }
  variables["messages"] = std::move(messages);
  DCC_ASSIGN(const jinja::Template* chosen, choose(!variables["tools"].is_null()));
  return chosen->render(variables, now);
}

std::tm localTime() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return local;
}

}  // namespace dcc::text
