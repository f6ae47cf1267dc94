#include "runtime/text/jinja/template.h"

#include "runtime/text/jinja/json.h"
#include "runtime/text/jinja/lexer.h"
#include "runtime/text/jinja/native.h"
#include "runtime/text/jinja/parser.h"
#include "runtime/text/jinja/scope.h"
#include "runtime/text/utf8.h"

namespace dcc::jinja {
namespace {

// The longest that is known has 40 KB.
constexpr size_t kMostTemplateBytes = 1 << 20;

}  // namespace

struct Template::Parsed {
  std::string name;
  Tree tree;
  Body body;

  Error error(uint32_t line, const std::string& what) const {
    return userError(name + ":" + std::to_string(line) + ": " + what);
  }
  Status render(Run& run, const Variables& variables, TextBuilder& out) const;
};

Result<Template> Template::parse(std::string_view source, std::string name) {
  auto parsed = std::make_shared<Parsed>();
  parsed->name = std::move(name);
  if (source.size() > kMostTemplateBytes) {
    return userError(parsed->name + ": a template of " + std::to_string(source.size()) +
                     " bytes; at most 1 MiB is expected");
  }
  if (!text::isValidUtf8(source)) {
    return userError(parsed->name + ": is not UTF-8; valid UTF-8 is expected");
  }
  uint32_t line = 1;
  Result<std::vector<Token>> tokens = tokenize(source, line);
  if (!tokens.ok()) return parsed->error(line, tokens.error().message);
  Parser parser(std::move(tokens).value(), parsed->tree);
  Result<Body> body = parser.parse();
  if (!body.ok()) return parsed->error(parser.line(), body.error().message);
  parsed->body = std::move(body).value();
  Template result;
  result.parsed_ = std::move(parsed);
  return result;
}

Status Template::Parsed::render(Run& run, const Variables& variables, TextBuilder& out) const {
  // What is given hides what is built in.
  const auto given = std::make_shared<Scope>(nullptr);
  setGlobals(run, *given);
  for (const auto& [key, value] : variables) {
    DCC_ASSIGN(Value converted, fromJson(run, value));
    given->set(key, std::move(converted));
  }
  Block block(*given, *body.frame);
  DCC_RETURN_IF_ERROR(executeAll(body.statements, run, block.scope(), out));
  return run.step();  // what the last statement wrote may have been too much
}

Result<Rendering> Template::render(const Variables& variables, const std::tm& now,
                                   const Limits& limits) const {
  Run run(limits, now);
  Rendering rendering;
  TextBuilder out(run, limits.output);
  const Status status = parsed_->render(run, variables, out);
  if (status.ok()) {
    rendering.text = out.take();
    return rendering;
  }
  run.failedAt(1, status.error());  // where no node knows better
  const Failure& failure = run.failure();
  switch (failure.kind) {
    case FailureKind::kRaised:
      rendering.refusal = failure.message;
      break;
    case FailureKind::kFailed:
      rendering.refusal = parsed_->error(failure.line, failure.message).message;
      break;
    case FailureKind::kUnsupported:
      return parsed_->error(failure.line, failure.message + " is not supported");
    case FailureKind::kLimit:
      return parsed_->error(failure.line, "the template " + failure.message);
  }
  return rendering;
}

}  // namespace dcc::jinja
