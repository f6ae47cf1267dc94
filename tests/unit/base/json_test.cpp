#include "runtime/base/json.h"

#include <gtest/gtest.h>

namespace dcc {
namespace {

std::string errorOf(std::string_view text, const JsonLimits& limits = {}) {
  auto parsed = parseJson(text, "config.json", limits);
  return parsed.ok() ? "" : parsed.error().message;
}

TEST(Json, ParsesEveryKindOfValue) {
  auto parsed = parseJson(
      " {\"a\": [1, -2, 2.5, true, false, null, \"\\u00e4\"], \"b\": {}, \"c\": []}\n", "x.json");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->dump(), "{\"a\":[1,-2,2.5,true,false,null,\"\xc3\xa4\"],\"b\":{},\"c\":[]}");
}

TEST(Json, KeysOfDifferentObjectsMayBeEqual) {
  auto parsed = parseJson(R"([{"a": {"a": 1}}, {"a": {"a": 2}}])", "x.json");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ((*parsed)[1]["a"]["a"], 2);
}

TEST(Json, KeysMayKeepTheirOrder) {
  const std::string text = R"({"b":1,"a":{"z":[{"y":2,"x":2.5}],"c":null}})";
  auto parsed = parseOrderedJson(text, "x.json");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->dump(), text);
  EXPECT_EQ(parseOrderedJson(R"({"a": {"b": 1, "c": 2, "b": 3}})", "x").error().message,
            "x:1:26: the key \"b\" stands twice in one object");
  EXPECT_EQ(parseOrderedJson("[18446744073709551616]", "x").error().message,
            "x:1:22: an integer of more than 64 bits");
  // Many keys take no time.
  std::string many = "{";
  for (int i = 0; i < 200'000; ++i) many += "\"" + std::to_string(i) + "\":0,";
  many.back() = '}';
  EXPECT_EQ(parseOrderedJson(many, "x")->size(), 200'000u);
}

TEST(Json, SyntaxErrorsSayWhere) {
  struct {
    std::string_view text;
    std::string position;
  } cases[] = {
      {"", "config.json:1:1: "},
      {"{\"a\": 1,\n \"b\": }", "config.json:2:7: "},
      {"{\"a\": 1}\n x", "config.json:2:2: "},
      {"[1, 2", "config.json:1:6: "},
      {"{'a': 1}", "config.json:1:2: "},
      {"[NaN]", "config.json:1:2: "},
      {"[1e999]", "config.json:1:"},
      {"\"\xff\"", "config.json:1:2: "},
      {"[01]", "config.json:1:3: "},
      {std::string_view("[1]\0", 4), "config.json:1:4: "},
  };
  for (const auto& c : cases) {
    std::string message = errorOf(c.text);
    EXPECT_EQ(message.substr(0, c.position.size()), c.position) << c.text << " -> " << message;
    EXPECT_GT(message.size(), c.position.size()) << c.text;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(Json, DuplicateKeysAreRefusedWhereTheyStand) {
  EXPECT_EQ(errorOf("{\"a\": 1,\n  \"a\": 2}"),
            "config.json:2:5: the key \"a\" stands twice in one object");
}

TEST(Json, LimitsHold) {
  EXPECT_EQ(errorOf("[[[]]]", {.depth = 3}), "");
  EXPECT_EQ(errorOf("[[[]]]", {.depth = 2}), "config.json:1:3: nested deeper than 2 levels");
  EXPECT_EQ(errorOf("[1,2]", {.values = 3}), "");
  EXPECT_EQ(errorOf("[1,2]", {.values = 2}).substr(0, 15), "config.json:1:5");
  EXPECT_EQ(errorOf("[1,2]", {.bytes = 4}), "config.json: has 5 bytes; at most 4 are expected");
  // Far deeper than the stack would bear.
  EXPECT_NE(errorOf(std::string(10'000'000, '[')), "");
}

TEST(Json, TextPositionCountsLinesAndBytes) {
  auto at = textPosition("ab\ncd", 4);
  EXPECT_EQ(at.line, 2u);
  EXPECT_EQ(at.column, 2u);
  EXPECT_EQ(textPosition("ab", 99).column, 3u);
}

class JsonFieldsTest : public ::testing::Test {
 protected:
  nlohmann::json value = nlohmann::json::parse(
      R"({"n": 8, "whole": 8.0, "x": 2.5, "big": 1e30, "huge": 18446744073709551615,
          "s": "t", "b": true, "none": null, "list": [1], "sub": {"n": -1}})");
  JsonFields fields = JsonFields::of(value, "config.json").value();
};

TEST_F(JsonFieldsTest, GivesValues) {
  EXPECT_EQ(fields.integer("n").value(), 8);
  EXPECT_EQ(fields.integer("whole").value(), 8);
  EXPECT_EQ(fields.number("n").value(), 8.0);
  EXPECT_EQ(fields.number("x").value(), 2.5);
  EXPECT_EQ(fields.string("s").value(), "t");
  EXPECT_TRUE(fields.boolean("b").value());
  EXPECT_EQ(fields.array("list").value()->size(), 1u);
  EXPECT_EQ(fields.object("sub")->integer("n").value(), -1);
}

TEST_F(JsonFieldsTest, NullAndAbsentFallBack) {
  EXPECT_FALSE(fields.has("none"));
  EXPECT_EQ(fields.integerOr("none", 5).value(), 5);
  EXPECT_EQ(fields.integerOr("n", 5).value(), 8);
  EXPECT_EQ(fields.numberOr("absent", 0.5).value(), 0.5);
  EXPECT_EQ(fields.stringOr("absent", "d").value(), "d");
  EXPECT_FALSE(fields.booleanOr("absent", false).value());
  EXPECT_FALSE(fields.integerOr("s", 5).ok());
}

TEST_F(JsonFieldsTest, ErrorsNameFileFieldAndExpectation) {
  EXPECT_EQ(fields.integer("absent", 1).error().message,
            "config.json: absent: is missing; an integer from 1 is expected");
  EXPECT_EQ(fields.integer("s").error().message,
            "config.json: s: is \"t\"; an integer is expected");
  EXPECT_EQ(fields.integer("n", 0, 7).error().message,
            "config.json: n: is 8; an integer from 0 up to 7 is expected");
  EXPECT_FALSE(fields.integer("x").ok());
  EXPECT_FALSE(fields.integer("big").ok());
  EXPECT_FALSE(fields.integer("huge").ok());
  EXPECT_FALSE(fields.integer("b").ok());
  EXPECT_EQ(fields.boolean("n").error().message, "config.json: n: is 8; true or false is expected");
  EXPECT_EQ(fields.string("list").error().message,
            "config.json: list: is an array; a string is expected");
  EXPECT_EQ(fields.object("sub")->integer("m").error().message,
            "config.json: sub: m: is missing; an integer is expected");
  EXPECT_EQ(JsonFields::of(value["list"], "config.json").error().message,
            "config.json: is an array; an object is expected");
}

}  // namespace
}  // namespace dcc
