// How a conversation becomes a prompt: the chat template of a model, found and applied as
// transformers' apply_chat_template does it (5.23).
#pragma once

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/text/jinja/template.h"

namespace dcc::text {

class ChatTemplate {
 public:
  // Of a model's directory: chat_template.jinja and additional_chat_templates/NAME.jinja, or else
  // `chat_template` of tokenizer_config.json, a text or several with names. Special tokens are
  // variables: those of tokenizer_config.json and special_tokens_map.json. Errors (user): none
  // there, damaged files. A template that can't be used is one only when it is.
  static Result<ChatTemplate> fromDirectory(const std::string& dir);

  // `request`: {"messages": [{"role", "content", ...}, ...], "add_generation_prompt": bool,
  // "tools":
  // [...], "documents": [...]}; all but the messages may be absent. Every other field is a variable
  // of the template, and so are the fields of "kwargs". `where` begins messages about the request.
  // Errors (user): a request that is none, a template that can't be used. Where the template is
  // right to refuse the request, that is no error: see Rendering.
  Result<jinja::Rendering> render(const nlohmann::ordered_json& request, const std::tm& now,
                                  const std::string& where) const;

 private:
  struct Named {
    std::string name;
    Result<jinja::Template> parsed;
  };

  void add(const std::string& name, const std::string& source, const std::string& where);
  Status readFiles(const std::string& dir);
  Status readConfig(const nlohmann::json& config, const std::string& path);
  Result<const jinja::Template*> choose(bool tools) const;

  std::string dir_;
  std::vector<Named> templates_;
  bool single_ = false;  // not several with names: whatever there is, is meant
  jinja::Variables special_tokens_;
};

// Local time.
std::tm localTime();

}  // namespace dcc::text
