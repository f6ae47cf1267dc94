// Templates are untrusted: whatever they say ends soon, with a message.
#include <gtest/gtest.h>

#include <chrono>

#include "runtime/text/jinja/template.h"

namespace dcc::jinja {
namespace {

std::string repeated(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

constexpr Limits kSmall{.steps = 2'000'000, .bytes = 16 << 20, .output = 1 << 20};

// The error of a template that takes too much, which it must say within seconds.
std::string error(const std::string& source) {
  const auto begin = std::chrono::steady_clock::now();
  const auto parsed = Template::parse(source, "t");
  std::string message = "none";
  if (!parsed.ok()) {
    message = parsed.error().message;
  } else if (const auto rendering = parsed->render({}, {}, kSmall); !rendering.ok()) {
    message = rendering.error().message;
  } else if (rendering->refusal) {
    message = "refused: " + *rendering->refusal;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  return message;
}

TEST(JinjaLimits, Steps) {
  const std::string loop = "{% for i in range(100000) %}";
  EXPECT_EQ(error(loop + loop + "{% endfor %}{% endfor %}"),
            "t:1: the template takes more than 2000000 steps");
  EXPECT_EQ(
      error("{{ range(100001) }}"),
      "refused: t:1: Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  // Each step is long.
  EXPECT_EQ(error("{% set a = 'ab' * 4000000 %}" + loop + "{% set b = a.find('x') %}{% endfor %}"),
            "t:1: the template takes more than 2000000 steps");
  // Needles that std::string_view would look for in the product of both lengths.
  for (const char* method : {"find", "rfind", "count", "split", "rsplit"}) {
    EXPECT_EQ(error("{% set a = 'a' * 2000000 %}{% set b = 'a' * 1000000 ~ 'c' %}" + loop +
                    "{% set x = a." + method + "(b) %}{% endfor %}"),
              "t:1: the template takes more than 2000000 steps")
        << method;
  }
  for (const char* filter :
       {"length", "sort", "wordcount", "upper", "trim('b')", "unique", "indent"}) {
    EXPECT_EQ(
        error("{% set a = 'a' * 60000 %}" + loop + "{% set x = a | " + filter + " %}{% endfor %}")
            .rfind("t:1: the template takes more than ", 0),
        0u)
        << filter;
  }
  // 2^60 comparisons of values that are small in memory.
  EXPECT_EQ(error("{% set a = namespace(v=[1]) %}{% set b = namespace(v=[1]) %}" +
                  std::string("{% for i in range(60) %}{% set a.v = [a.v, a.v] %}"
                              "{% set b.v = [b.v, b.v] %}{% endfor %}{{ a.v == b.v }}")),
            "t:1: the template takes more than 2000000 steps");
}

TEST(JinjaLimits, Memory) {
  const std::string memory = "t:1: the template takes more than 16 MiB of memory";
  EXPECT_EQ(error("{% set a = [1] * 10000000000 %}"), memory);
  EXPECT_EQ(error("{{ range(100000) | list | batch(100000000000, 1) | list }}"), memory);
  EXPECT_EQ(error("{{ 'x' | indent(100000000000) }}"), memory);
  EXPECT_EQ(error("{{ {} | tojson(indent=100000000000) }}"), memory);
  for (const char* text :
       {"'x' * 100000000000", "'x'.center(100000000000)", "'x'.zfill(100000000000)",
        "('a' * 1000000).replace('a', 'b' * 1000000)", "('a' * 1000000).replace('', 'b' * 1000000)",
        "([('x' * 1000000)] * 1000) | join", "([('x' * 1000000)] * 1000) | tojson",
        "'%s' % [([('x' * 1000000)] * 1000)]", "(['x' * 1000000] * 1000) | string"}) {
    EXPECT_EQ(error("{% set a = " + std::string(text) + " %}")
                  .rfind("t:1: the template makes a text of more than 1", 0),
              0u)
        << text;
  }
  // A text that grows in a namespace: what it was before is given back.
  EXPECT_EQ(error("{% set ns = namespace(s='') %}{% for i in range(2200) %}"
                  "{% set ns.s = ns.s ~ 'some words' %}{% endfor %}"),
            "none");
}

TEST(JinjaLimits, Output) {
  EXPECT_EQ(error("{% for i in range(100000) %}some twenty characters{% endfor %}"),
            "t:1: the template makes a text of more than 1 MiB");
}

TEST(JinjaLimits, Nesting) {
  const std::string evaluation = "t:1: the template nests calls and blocks too deep";
  EXPECT_EQ(error("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), evaluation);
  EXPECT_EQ(error("{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}"), evaluation);
  EXPECT_EQ(error("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"), evaluation);
  EXPECT_EQ(error("{{ " + repeated("1 + ", 100'000) + "1 }}"), evaluation);
  EXPECT_EQ(error("{{ x" + repeated("|d", 100'000) + " }}"), evaluation);
  EXPECT_EQ(error("{% set ns = namespace(v=[]) %}{% for i in range(100000) %}"
                  "{% set ns.v = [ns.v] %}{% endfor %}"),
            "t:1: the template nests values too deep");
  EXPECT_EQ(error("{% set ns = namespace(v=[]) %}{% for i in range(100000) %}"
                  "{% for x in [ns.v] %}{% set ns.v = loop %}{% endfor %}{% endfor %}"),
            "t:1: the template nests values too deep");
  const std::string syntax = "t:1: brackets or blocks are nested too deep";
  for (const auto& [open, close] : {std::pair("(", ")"),
                                    {"[", "]"},
                                    {"{1:", "}"},
                                    {"-", ""},
                                    {"not ", ""},
                                    {"x[", "]"},
                                    {"f(", ")"},
                                    {"1 if 1 else ", ""}}) {
    EXPECT_EQ(error("{{ " + repeated(open, 50'000) + "1" + repeated(close, 50'000) + "}}"), syntax)
        << open;
  }
  for (const char* open : {"{% if 1 %}", "{% for x in y %}", "{% with %}", "{% macro m() %}",
                           "{% call f() %}", "{% filter upper %}", "{% set x %}"}) {
    EXPECT_EQ(error(repeated(open, 50'000)), syntax) << open;
  }
  EXPECT_EQ(error("{% set " + repeated("(", 1000) + "a" + repeated(")", 1000) + "= 1 %}"), syntax);
}

TEST(JinjaLimits, ANamespaceMayHoldItself) {
  EXPECT_EQ(error("{% set ns = namespace() %}{% set ns.me = ns %}{% set ns.l = [ns] %}"), "none");
  EXPECT_EQ(error("{% set ns = namespace() %}{% macro m() %}{% endmacro %}{% set ns.m = m %}"),
            "none");
}

TEST(JinjaLimits, OfATemplate) {
  EXPECT_EQ(error(std::string((1 << 20) + 1, ' ')),
            "t: a template of 1048577 bytes; at most 1 MiB is expected");
}

}  // namespace
}  // namespace dcc::jinja
