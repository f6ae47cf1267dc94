// Requests to a chat template, and templates that can't be used.
#include "runtime/text/chat/chat_template.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/temporary_directory.h"

namespace dcc::text {
namespace {

using nlohmann::ordered_json;

class Directory {
 public:
  void write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name) << text;
  }

  // What a request gives; errors begin with "!", and the directory's name is left out.
  std::string render(const std::string& request) const {
    const auto chat = ChatTemplate::fromDirectory(dir_.path());
    if (!chat.ok()) return shown(chat.error().message);
    const auto rendering = chat->render(ordered_json::parse(request), {}, "in.jsonl:1");
    if (!rendering.ok()) return shown(rendering.error().message);
    return rendering->refusal ? "refused: " + *rendering->refusal : rendering->text;
  }

 private:
  std::string shown(std::string message) const {
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    if (const size_t at = message.find(dir_.path()); at != std::string::npos) {
      message.replace(at, std::string(dir_.path()).size(), "DIR");
    }
    return "!" + message;
  }

  testing::TemporaryDirectory dir_;
};

constexpr char kHi[] = R"({"messages": [{"role": "user", "content": "hi"}]})";

TEST(ChatTemplate, MistakesInRequests) {
  Directory dir;
  dir.write("chat_template.jinja", "{{ messages | tojson }}{{ x }}{{ tools }}");
  EXPECT_EQ(dir.render(R"({"messages": [{"role": "user", "content": null}], "x": 1})"),
            "[{\"role\": \"user\"}]1None");
  EXPECT_EQ(dir.render(R"({"messages": [{"a": 1}], "kwargs": {"x": 2}, "x": 1})"),
            "[{\"a\": 1}]2None");
  const std::string messages =
      "!in.jsonl:1: {\"messages\": [{\"role\": ..., \"content\": ...}, ...]} is expected";
  EXPECT_EQ(dir.render("{}"), messages);
  EXPECT_EQ(dir.render(R"({"messages": {}})"), messages);
  EXPECT_EQ(dir.render("[]"), "!in.jsonl:1: an object with messages is expected");
  EXPECT_EQ(dir.render(R"({"messages": []})"),
            "!in.jsonl:1: messages: there are none; at least one is expected");
  EXPECT_EQ(dir.render(R"({"messages": ["hi"]})"),
            "!in.jsonl:1: messages: every message must be an object with role and content");
  EXPECT_EQ(dir.render(R"({"messages": [{}], "tools": [1]})"),
            "!in.jsonl:1: tools: must be an array of objects");
  EXPECT_EQ(dir.render(R"({"messages": [{}], "documents": "x"})"),
            "!in.jsonl:1: documents: must be an array of objects");
  EXPECT_EQ(dir.render(R"({"messages": [{}], "add_generation_prompt": "yes"})"),
            "!in.jsonl:1: add_generation_prompt: must be true or false");
  EXPECT_EQ(dir.render(R"({"messages": [{}], "kwargs": 1})"),
            "!in.jsonl:1: kwargs: must be an object");
}

TEST(ChatTemplate, DirectoriesWithout) {
  Directory dir;
  const std::string none =
      "!DIR: has no chat template, neither chat_template.jinja nor one in tokenizer_config.json; "
      "models that are made for chats have one";
  EXPECT_EQ(dir.render(kHi), none);
  dir.write("tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_EQ(dir.render(kHi), none);
  dir.write("tokenizer_config.json", R"({"chat_template": 3})");
  EXPECT_EQ(dir.render(kHi),
            "!DIR/tokenizer_config.json: chat_template: must be a template, or a list "
            "of named ones");
  dir.write("tokenizer_config.json", R"({"chat_template": [{"name": "a", "template": "x"}]})");
  EXPECT_EQ(dir.render(kHi), "!DIR: has the chat templates a; one of them must be called default");
  dir.write("tokenizer_config.json", R"({"chat_template": [{"name": "a"}]})");
  EXPECT_EQ(dir.render(kHi),
            "!DIR/tokenizer_config.json: chat_template: template: is missing; a "
            "string is expected");
  dir.write("tokenizer_config.json", R"({"chat_template": "\n{% x %}"})");
  EXPECT_EQ(dir.render(kHi),
            "!DIR/tokenizer_config.json: chat_template:2: {% x %}: there is no such tag here");
  dir.write("tokenizer_config.json", R"({"bos_token": 3, "chat_template": "x"})");
  EXPECT_EQ(dir.render(kHi),
            "!DIR/tokenizer_config.json: bos_token: is a number; a string or an added "
            "token is expected");
  dir.write("tokenizer_config.json", "[");
  EXPECT_EQ(dir.render(kHi).substr(0, 30), "!DIR/tokenizer_config.json:1:2");
}

TEST(ChatTemplate, ABrokenTemplateForToolsIsNoMatterWithoutTools) {
  Directory dir;
  dir.write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "ok"},
                                                           {"name": "tool_use", "template": "{{"}]})");
  EXPECT_EQ(dir.render(kHi), "ok");
  EXPECT_EQ(dir.render(R"({"messages": [{}], "tools": []})"),
            "!DIR/tokenizer_config.json: chat_template: tool_use:1: a tag has no end; }} is right");
}

}  // namespace
}  // namespace dcc::text
