// Messages of the template engine: each names the line, and what it is about.
#include <gtest/gtest.h>

#include "runtime/text/jinja/template.h"

namespace dcc::jinja {
namespace {

std::tm noon() {
  std::tm time{};
  time.tm_year = 124;
  time.tm_mday = 1;
  time.tm_hour = 12;
  return time;
}

// The text, "refused: ..." or the error.
std::string rendered(const std::string& source, const Variables& variables = {}) {
  const auto parsed = Template::parse(source, "t");
  if (!parsed.ok()) return parsed.error().message;
  const auto rendering = parsed->render(variables, noon());
  if (!rendering.ok()) return rendering.error().message;
  return rendering->refusal ? "refused: " + *rendering->refusal : rendering->text;
}

TEST(JinjaErrors, OfSyntaxNameTheLine) {
  EXPECT_EQ(rendered("a\n{% if x %}"),
            "t:2: unexpected the end of the template; {% endif %} is right here");
  EXPECT_EQ(rendered("\n\n{{ x"), "t:3: a tag has no end; }} is right");
  EXPECT_EQ(rendered("a\n{# b"), "t:2: a comment has no end; #} is right");
  EXPECT_EQ(rendered("{{ (x] }}"), "t:1: unexpected ']', expected ')'");
  EXPECT_EQ(rendered("{{ x\n ? }}"), "t:2: unexpected \"?\"");
  EXPECT_EQ(rendered("{{ 'x }}"), "t:1: a text has no end; a closing quote is right");
  EXPECT_EQ(rendered("{% for x on y %}"), "t:1: unexpected 'on'; 'in' is right here");
  EXPECT_EQ(rendered("{% set true = 1 %}"), "t:1: can't assign to 'true'");
  EXPECT_EQ(rendered("{{ f(a=1, 2) }}"),
            "t:1: unexpected '2'; no more arguments without a name is right here");
}

TEST(JinjaErrors, UnsupportedThingsAreNamed) {
  EXPECT_EQ(rendered("\n{% include 'x' %}"), "t:2: {% include %}: this tag is not supported");
  EXPECT_EQ(rendered("{% nosuch %}"), "t:1: {% nosuch %}: there is no such tag here");
  EXPECT_EQ(rendered("\n{{ [] | groupby('x') }}"), "t:2: the filter 'groupby' is not supported");
  EXPECT_EQ(rendered("{{ 'x'.encode() }}"), "t:1: 'encode' of a str is not supported");
  EXPECT_EQ(rendered("{{ lipsum() }}"), "t:1: the function 'lipsum' is not supported");
  EXPECT_EQ(rendered("{{ 9223372036854775807 + 1 }}"),
            "t:1: an integer of more than 64 bits is not supported");
  EXPECT_EQ(rendered("{{ 99999999999999999999 }}"),
            "t:1: an integer of more than 64 bits is not supported");
  EXPECT_EQ(rendered("{{ ('<' | safe).replace('<', '>') }}"),
            "t:1: working on a text that went through 'safe' or 'escape' is not supported");
  EXPECT_EQ(rendered("{{ 'x'.upper }}"), "t:1: the text of a function is not supported");
  EXPECT_EQ(rendered("\n{% macro m() %}{{ 1 | nosuch }}{% endmacro %}"),
            "t:2: there is no filter 'nosuch'");
  EXPECT_EQ(rendered("{{ 1 is nosuch }}\n{{"), "t:2: a tag has no end; }} is right");
  // What is not reached does no harm, nor does, as in Jinja, what a condition keeps from being so.
  EXPECT_EQ(rendered("{% if false %}{{ 1 | nosuch }}{% endif %}{{ (1 is nosuch) if false }}a"),
            "a");
  EXPECT_EQ(rendered("{% if true %}{{ 1 | nosuch }}{% endif %}"),
            "refused: t:1: there is no filter 'nosuch'");
  EXPECT_EQ(rendered("{% if false %}{{ [] | groupby('x') }}{% endif %}a"), "a");
}

TEST(JinjaErrors, RefusalsAreTheTemplatesWordsOrPythons) {
  EXPECT_EQ(rendered("{{ raise_exception('no ' ~ 1) }}"), "refused: no 1");
  EXPECT_EQ(rendered("\n{{ x.y }}"), "refused: t:2: 'x' is undefined");
  EXPECT_EQ(rendered("{{ {}.a.b }}"), "refused: t:1: 'dict object' has no attribute 'a'");
  EXPECT_EQ(rendered("{{ 1 + 'a' }}"),
            "refused: t:1: unsupported operand type(s) for +: 'int' and 'str'");
  EXPECT_EQ(rendered("{{ [1] < 1 }}"),
            "refused: t:1: '<' not supported between instances of 'list' and 'int'");
  EXPECT_EQ(rendered("{% macro m(a) %}{% endmacro %}\n{{ m(1, 2) }}"),
            "refused: t:2: macro 'm' takes not more than 1 argument(s)");
  // The line is that of the innermost.
  EXPECT_EQ(rendered("{% macro m() %}\n{{ 1 / 0 }}{% endmacro %}\n\n{{ m() }}"),
            "refused: t:2: division by zero");
}

TEST(JinjaErrors, ATemplateMustBeUtf8) {
  EXPECT_EQ(rendered("a\xFF"), "t: is not UTF-8; valid UTF-8 is expected");
}

TEST(Jinja, AMacroEndsWithItsBlock) {
  EXPECT_EQ(
      rendered("{% set ns = namespace() %}{% for i in [1] %}{% macro m() %}{{ i }}{% endmacro "
               "%}{% set ns.m = m %}{{ ns.m() }}{% endfor %}{{ ns.m() }}"),
      "t:1: calling macro 'm' after the block that defines it is not supported");
}

TEST(Jinja, ATemplateMayBeRenderedAgain) {
  const auto parsed = Template::parse("{% set ns = namespace(n=x) %}{{ ns.n }}", "t");
  ASSERT_TRUE(parsed.ok());
  for (int x : {1, 2}) {
    EXPECT_EQ(parsed->render({{"x", x}}, noon())->text, std::to_string(x));
  }
}

TEST(Jinja, GivenVariablesHideFunctions) {
  EXPECT_EQ(rendered("{{ range }}", {{"range", "mine"}}), "mine");
  EXPECT_EQ(rendered("{{ x }}", {{"x", UINT64_MAX}}),
            "t:1: an integer of more than 64 bits is not supported");
}

}  // namespace
}  // namespace dcc::jinja
