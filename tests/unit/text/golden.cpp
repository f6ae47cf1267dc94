#include "golden.h"

#include <gtest/gtest.h>

#include "runtime/base/json.h"
#include "runtime/text/utf8.h"

namespace dcc::text {

std::vector<GoldenCase> readGolden(const std::string& path) {
  const auto json = readJson(path);
  EXPECT_TRUE(json.ok()) << json.error().message;
  std::vector<GoldenCase> cases;
  if (!json.ok()) return cases;
  for (const nlohmann::json& from : json->is_array() ? *json : (*json)["cases"]) {
    GoldenCase to;
    to.text = from.at("text");
    to.ids = from.at("ids").get<std::vector<int32_t>>();
    to.ids_plain = from.at("ids_plain").get<std::vector<int32_t>>();
    to.decoded = from.at("decoded");
    const bool raw = from.contains("decoded_raw");
    to.kept_ids = raw ? to.ids : to.ids_plain;
    to.decoded_kept = from.at(raw ? "decoded_raw" : "decoded_plain");
    cases.push_back(std::move(to));
  }
  EXPECT_GT(cases.size(), 200u) << path;
  return cases;
}

namespace {

std::string streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip) {
  TextStream stream(tokenizer, skip);
  std::string all;
  for (const int32_t id : ids) {
    const std::string text = stream.push(id);
    EXPECT_TRUE(isValidUtf8(text)) << "half a character at token " << id;
    all += text;
  }
  return all + stream.finish();
}

}  // namespace

void expectGolden(const Tokenizer& tokenizer, const std::vector<GoldenCase>& cases) {
  for (const GoldenCase& golden : cases) {
    SCOPED_TRACE("text: " + golden.text);
    const auto ids = tokenizer.encode(golden.text);
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    EXPECT_EQ(*ids, golden.ids);
    const auto plain = tokenizer.encode(golden.text, false);
    ASSERT_TRUE(plain.ok()) << plain.error().message;
    EXPECT_EQ(*plain, golden.ids_plain);
    EXPECT_EQ(tokenizer.decode(golden.ids), golden.decoded);
    EXPECT_EQ(tokenizer.decode(golden.kept_ids, false), golden.decoded_kept);
    EXPECT_EQ(streamed(tokenizer, golden.ids, true), golden.decoded);
    EXPECT_EQ(streamed(tokenizer, golden.kept_ids, false), golden.decoded_kept);
  }
}

}  // namespace dcc::text
