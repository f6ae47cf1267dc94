// Broken and unsupported tokenizer.json: one line that names the file and the field.
#include <gtest/gtest.h>

#include <functional>

#include "runtime/base/json.h"
#include "runtime/text/tokenizer.h"

namespace dcc::text {
namespace {

using nlohmann::json;

json good() {
  const auto file = readJson(DCC_SOURCE_DIR "/tests/models/tokenizers/qwen2/tokenizer.json");
  EXPECT_TRUE(file.ok());
  return *file;
}

struct Bad {
  const char* field;      // what the message must name
  const char* complaint;  // and say
  std::function<void(json&)> spoil;
};

TEST(TokenizerBadInput, IsOneLineThatNamesTheField) {
  const std::vector<Bad> all = {
      {"model", "missing", [](json& j) { j.erase("model"); }},
      {"model: type", "not supported", [](json& j) { j["model"]["type"] = "Transformer"; }},
      {"model: vocab", "missing", [](json& j) { j["model"].erase("vocab"); }},
      {"model: vocab", "without holes", [](json& j) { j["model"]["vocab"]["odd"] = 5000; }},
      {"model: vocab", "without holes", [](json& j) { j["model"]["vocab"].erase("a"); }},
      {"model: vocab", "both have id 3", [](json& j) { j["model"]["vocab"]["odd"] = 3; }},
      {"model: vocab", "has no id", [](json& j) { j["model"]["vocab"]["odd"] = -1; }},
      {"model: vocab", "has no id", [](json& j) { j["model"]["vocab"]["odd"] = "x"; }},
      {"model: vocab", "4294967296", [](json& j) { j["model"]["vocab"]["odd"] = 4294967296; }},
      {"model: merges[0]", "not in vocab",
       [](json& j) {
         j["model"]["merges"][0] = {"a", "nothere"};
       }},
      {"model: merges[0]", "is no merge",
       [](json& j) {
         j["model"]["merges"][0] = {"a", "b", "c"};
       }},
      {"model: merges[0]", "is no merge", [](json& j) { j["model"]["merges"][0] = "a b c"; }},
      {"model: merges[0]", "empty side", [](json& j) { j["model"]["merges"][0] = "a "; }},
      {"model: merges", "missing", [](json& j) { j["model"].erase("merges"); }},
      {"model: fuse_unk", "true or false", [](json& j) { j["model"]["fuse_unk"] = 1; }},
      {"added_tokens[0]", "1024 is expected", [](json& j) { j["added_tokens"][0]["id"] = 1030; }},
      {"added_tokens[3]", "1027 is expected", [](json& j) { j["added_tokens"][3]["id"] = 1024; }},
      {"added_tokens[1]", "id", [](json& j) { j["added_tokens"][1]["id"] = -1; }},
      {"added_tokens[1]", "content", [](json& j) { j["added_tokens"][1]["content"] = 7; }},
      {"added_tokens", "an array", [](json& j) { j["added_tokens"] = "x"; }},
      {"normalizer: type", "not supported", [](json& j) { j["normalizer"]["type"] = "NFX"; }},
      {"pre_tokenizer[0]: pattern", "not closed",
       [](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "("; }},
      {"pre_tokenizer[0]: behavior", "Isolated",
       [](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Scattered"; }},
      {"pre_tokenizer[1]: type", "not supported",
       [](json& j) { j["pre_tokenizer"]["pretokenizers"][1]["type"] = "Cut\nting"; }},
      {"post_processor: type", "not supported", [](json& j) { j["post_processor"]["type"] = "X"; }},
      {"post_processor", "token id 9999",
       [](json& j) {
         j["post_processor"] = {
             {"type", "BertProcessing"}, {"cls", {"c", 9999}}, {"sep", {"s", 1}}};
       }},
      {"post_processor: special_tokens: <s>", "missing",
       [](json& j) {
         j["post_processor"] = {{"type", "TemplateProcessing"},
                                {"single", {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}}},
                                {"special_tokens", json::object()}};
       }},
      {"post_processor: single", "once",
       [](json& j) {
         const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
         j["post_processor"] = {{"type", "TemplateProcessing"}, {"single", {text, text}}};
       }},
      {"decoder: type", "not supported", [](json& j) { j["decoder"]["type"] = "X"; }},
      {"decoder: content", "one character",
       [](json& j) {
         j["decoder"] = {{"type", "Strip"}, {"content", "ab"}};
       }},
      {"normalizer: precompiled_charsmap", "base64",
       [](json& j) {
         j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "!"}};
       }},
      {"normalizer: precompiled_charsmap", "trie",
       [](json& j) {
         j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "/////w=="}};
       }},
      {"model: unk_id", "up to 0",
       [](json& j) {
         j["model"] = {
             {"type", "Unigram"}, {"vocab", json::array({json::array({"a", 0.0})})}, {"unk_id", 1}};
       }},
      {"model: vocab[0]", "is no token",
       [](json& j) {
         j["model"] = {{"type", "Unigram"}, {"vocab", json::array({json::array({"a", "b"})})}};
       }},
  };
  for (const Bad& bad : all) {
    json spoilt = good();
    bad.spoil(spoilt);
    const auto tokenizer = Tokenizer::fromJson(spoilt.dump(), "dir/tokenizer.json");
    ASSERT_FALSE(tokenizer.ok()) << bad.field << ": " << bad.complaint;
    const std::string& message = tokenizer.error().message;
    EXPECT_TRUE(message.starts_with(std::string("dir/tokenizer.json: ") + bad.field)) << message;
    EXPECT_NE(message.find(bad.complaint), std::string::npos) << message;
    EXPECT_NE(message.find("; "), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_EQ(tokenizer.error().fault, Fault::kUser) << message;
  }
}

TEST(TokenizerBadInput, FilesThatAreNone) {
  for (const char* path : {"/nonexistent/tokenizer.json", "/", "/dev/null"}) {
    const auto tokenizer = Tokenizer::fromFile(path);
    ASSERT_FALSE(tokenizer.ok()) << path;
    EXPECT_TRUE(tokenizer.error().message.starts_with(path)) << tokenizer.error().message;
  }
}

TEST(TokenizerBadInput, CutAnywhereIsAnError) {
  const std::string text = good().dump();
  for (size_t length = 0; length < text.size(); length += 997) {
    EXPECT_FALSE(Tokenizer::fromJson(text.substr(0, length), "cut").ok()) << length;
  }
}

TEST(TokenizerBadInput, TextThatIsNotUtf8) {
  const auto tokenizer = Tokenizer::fromJson(good().dump(), "good");
  ASSERT_TRUE(tokenizer.ok());
  const auto ids = tokenizer->encode("a\xFF");
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.error().message, "text: is not UTF-8; valid UTF-8 is expected");
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{-1, INT32_MIN, INT32_MAX, 1028, 64}), "a");
}

// A file whose normalizer would make a few bytes into terabytes.
TEST(TokenizerBadInput, ExplosionsAreRefused) {
  const json twice = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}};
  const json often = {
      {"type", "Replace"}, {"pattern", {{"Regex", "."}}}, {"content", std::string(300'000, 'a')}};
  const json bytes = {{"type", "ByteLevel"}, {"use_regex", false}};
  const auto sequence = [](const char* key, const json& step) {
    const json steps(40, step);
    return json{{"type", "Sequence"}, {key, {{{"type", "Sequence"}, {key, steps}}}}};
  };
  json all[] = {good(), good(), good()};
  all[0]["normalizer"] = sequence("normalizers", twice);
  all[1]["normalizer"] = often;
  all[2]["pre_tokenizer"] = sequence("pretokenizers", bytes);
  for (const json& spec : all) {
    const auto tokenizer = Tokenizer::fromJson(spec.dump(), "bomb");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    const auto ids = tokenizer->encode("aaaaaaaa \u00e9");
    ASSERT_FALSE(ids.ok());
    EXPECT_NE(ids.error().message.find("grows"), std::string::npos) << ids.error().message;
  }
}

}  // namespace
}  // namespace dcc::text
