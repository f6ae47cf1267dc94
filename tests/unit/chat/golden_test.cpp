// Chat templates against transformers and jinja2 (tests/models/chat/make_golden.py), and published
// ones where they are.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/text/chat/chat_template.h"
#include "tests/unit/temporary_directory.h"

namespace dcc::text {
namespace {

using nlohmann::ordered_json;

ordered_json read(const std::filesystem::path& path) {
  const auto text = readFile(path.string(), 64 << 20);
  EXPECT_TRUE(text.ok()) << text.error().message;
  auto json = parseOrderedJson(text.ok() ? *text : "{}", path.string());
  EXPECT_TRUE(json.ok()) << json.error().message;
  return json.ok() ? *json : ordered_json();
}

const ordered_json& golden() {
  static const ordered_json all = read(DCC_SOURCE_DIR "/tests/models/chat/golden.json");
  return all;
}

std::tm timeOf(const std::string& iso) {
  std::tm time{};
  EXPECT_NE(::strptime(iso.c_str(), "%Y-%m-%dT%H:%M:%S", &time), nullptr) << iso;
  return time;
}

// What it gives, "refused: ..." or "error: ...".
std::string outcome(const Result<jinja::Rendering>& rendering) {
  if (!rendering.ok()) return "error: " + rendering.error().message;
  return rendering->refusal ? "refused: " + *rendering->refusal : rendering->text;
}

TEST(Jinja, SnippetsAreRenderedAsJinja2Does) {
  const std::tm now = timeOf(golden().at("now"));
  const auto variables = golden().at("variables").get<jinja::Variables>();
  ASSERT_GT(golden().at("snippets").size(), 1000u);
  for (const ordered_json& snippet : golden().at("snippets")) {
    SCOPED_TRACE(snippet[0].dump());
    const auto parsed = jinja::Template::parse(snippet[0].get<std::string>(), "snippet");
    if (!parsed.ok()) {
      EXPECT_TRUE(snippet[1].is_null()) << parsed.error().message;
      continue;
    }
    const std::string text = outcome(parsed->render(variables, now));
    if (snippet[1].is_null()) {
      EXPECT_EQ(text.rfind("refused: ", 0), 0u) << text;
    } else {
      EXPECT_EQ(text, snippet[1].get<std::string>());
    }
  }
}

void expectCase(const ChatTemplate& chat, const ordered_json& request, const ordered_json& expected,
                const std::tm& now) {
  const std::string text = outcome(chat.render(request, now, "request"));
  if (expected.contains("rendered")) {
    EXPECT_EQ(text, expected["rendered"].get<std::string>());
  } else if (expected["error"].is_null()) {  // something else than the template's own words
    EXPECT_TRUE(text.rfind("refused: ", 0) == 0 || text.rfind("error: ", 0) == 0) << text;
  } else {
    EXPECT_EQ(text, "refused: " + expected["error"].get<std::string>());
  }
}

TEST(ChatTemplate, DirectoriesAreReadAsTransformersDoes) {
  for (const ordered_json& directory : golden().at("directories")) {
    testing::TemporaryDirectory dir;
    for (const auto& [name, text] : directory.at("files").items()) {
      const std::filesystem::path path = dir / name;
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path, std::ios::binary) << text.get<std::string>();
    }
    const auto chat = ChatTemplate::fromDirectory(dir.path());
    ASSERT_TRUE(chat.ok()) << chat.error().message;
    for (const ordered_json& one : directory.at("cases")) {
      SCOPED_TRACE(directory.at("name").dump() + ": " + one.at("request").dump());
      expectCase(*chat, one.at("request"), one, timeOf(golden().at("now")));
    }
  }
}

// Published templates: others' data, not in the project. They are read from DCC_REAL_TOKENIZERS, or
// from where this project's reference data lies.
class RealChat : public ::testing::TestWithParam<const char*> {};

TEST_P(RealChat, IsEqual) {
  const char* set = std::getenv("DCC_REAL_TOKENIZERS");
  const std::filesystem::path all =
      set ? set : DCC_SOURCE_DIR "/../shared/reference/real_tokenizers";
  const std::filesystem::path dir = all / GetParam();
  if (!std::filesystem::exists(dir / "chat_golden.json")) {
    GTEST_SKIP() << "no " << dir.string()
                 << "; DCC_REAL_TOKENIZERS may name the folder with published tokenizers";
  }
  const ordered_json published = read(dir / "chat_golden.json");
  const auto chat = ChatTemplate::fromDirectory(dir.string());
  ASSERT_TRUE(chat.ok()) << chat.error().message;
  const std::tm now =
      published.contains("now") ? timeOf(published.at("now")) : timeOf("2024-01-01T00:00:00");
  size_t cases = 0;
  for (const ordered_json& one : published.at("cases")) {
    SCOPED_TRACE(one.at("name").dump());
    ordered_json request = {{"messages", one.at("messages")},
                            {"add_generation_prompt", one.at("add_generation_prompt")}};
    // Further templates come without the configuration that names their tokens.
    for (const auto& [name, token] : published.at("special_tokens").items()) request[name] = token;
    for (const char* field : {"tools", "kwargs"}) {
      if (one.contains(field)) request[field] = one.at(field);
    }
    ordered_json expected = one;
    if (one.contains("error") && one.at("error_type") != "TemplateError")
      expected["error"] = nullptr;
    expectCase(*chat, request, expected, now);
    ++cases;
  }
  EXPECT_GT(cases, 20u);
}

std::string nameOf(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (c == '-' || c == '.' || c == '/') c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Templates, RealChat,
                         ::testing::Values("qwen3", "phi3-mini", "mistral-7b-v0.3",
                                           "chat_templates/deepseek-r1-distill",
                                           "chat_templates/granite-3.3",
                                           "chat_templates/phi4-mini-reasoning",
                                           "chat_templates/smollm3"),
                         nameOf);

}  // namespace
}  // namespace dcc::text
