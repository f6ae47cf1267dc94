#include <algorithm>

#include "runtime/base/printable.h"
#include "runtime/text/jinja/parser.h"

namespace dcc::jinja {
namespace {

using StatementResult = Result<const Statement*>;

// Tags of Jinja that make no sense for a chat, or need other templates, which there are none of.
constexpr std::string_view kMissing[] = {"autoescape", "block",   "do",    "extends", "from",
                                         "import",     "include", "print", "trans"};

}  // namespace

bool Parser::isOperator(std::string_view text) const {
  return current().kind == TokenKind::kOperator && current().text == text;
}

bool Parser::isName(std::string_view text) const {
  return current().kind == TokenKind::kName && current().text == text;
}

bool Parser::skipOperator(std::string_view text) {
  const bool found = isOperator(text);
  if (found) advance();
  return found;
}

bool Parser::skipName(std::string_view text) {
  const bool found = isName(text);
  if (found) advance();
  return found;
}

Status Parser::expectOperator(std::string_view text) {
  if (skipOperator(text)) return Status::success();
  return unexpected("'" + std::string(text) + "'");
}

Status Parser::expectEnd(TokenKind kind) {
  if (current().kind != kind) return unexpected(describe({kind, "", 0}));
  advance();
  return Status::success();
}

Result<std::string> Parser::expectName(std::string_view what) {
  if (current().kind != TokenKind::kName) return unexpected(what);
  std::string name = current().text;
  advance();
  return name;
}

Error Parser::unexpected(std::string_view expected) const {
  return userError("unexpected " + describe(current()) + "; " + std::string(expected) +
                   " is right here");
}

Result<Body> Parser::parse() {
  Body all;
  Frame* frame = makeFrame();
  all.frame = frame;
  const Within within(*this, frame);
  DCC_ASSIGN(all.statements, body({}));
  if (!unknown_.empty()) {
    missing_ = unknown_[0];
    const std::string what = missing_->kind == NativeKind::kFilter ? "filter" : "test";
    return userError("there is no " + what + " '" + missing_->name + "'");
  }
  for (Frame* one : frames_) one->settle();
  return all;
}

Frame* Parser::makeFrame() {
  auto* frame = tree_.make<Frame>(current().line);
  frame->outer = frame_;
  frames_.push_back(frame);
  return frame;
}

void Parser::store(const Target& target) {
  for (const Target& one : target.several) store(one);
  if (target.is_several) return;
  if (target.field.empty()) {
    frame_->store(target.name);
  } else {
    frame_->load(target.name);
  }
}

// Up to a tag of one of these names, which is then the current token; without any: up to the end.
Result<Statements> Parser::body(std::initializer_list<std::string_view> ends) {
  const Nesting nesting(*this);
  DCC_RETURN_IF_ERROR(nesting.check());
  Statements statements;
  while (current().kind != TokenKind::kEnd) {
    if (current().kind != TokenKind::kBlockBegin) {
      DCC_RETURN_IF_ERROR(data(statements));
      continue;
    }
    advance();
    if (current().kind == TokenKind::kName &&
        std::find(ends.begin(), ends.end(), current().text) != ends.end()) {
      return statements;
    }
    DCC_ASSIGN(const Statement* one, statement());
    statements.push_back(one);
    DCC_RETURN_IF_ERROR(expectEnd(TokenKind::kBlockEnd));
  }
  if (ends.size() == 0) return statements;
  return unexpected("{% " + std::string(*(ends.end() - 1)) + " %}");
}

// "%}", a body and the tag that ends it, without that one's "%}".
Result<Statements> Parser::bodyToEnd(std::string_view end) {
  skipOperator(":");
  DCC_RETURN_IF_ERROR(expectEnd(TokenKind::kBlockEnd));
  DCC_ASSIGN(Statements statements, body({end}));
  advance();
  return statements;
}

Result<Body> Parser::bodyToEnd(std::string_view end, Frame* frame) {
  const Within within(*this, frame);
  DCC_ASSIGN(Statements statements, bodyToEnd(end));
  return Body{frame, std::move(statements)};
}

Status Parser::data(Statements& statements) {
  const uint32_t line = current().line;
  if (current().kind == TokenKind::kData) {
    auto* node = tree_.make<Data>(line);
    node->text = current().text;
    statements.push_back(node);
    advance();
    return Status::success();
  }
  advance();  // {{
  auto* node = tree_.make<Print>(line);
  DCC_ASSIGN(node->value, tuple());
  statements.push_back(node);
  return expectEnd(TokenKind::kVariableEnd);
}

StatementResult Parser::statement() {
  using Parse = StatementResult (Parser::*)();
  constexpr std::pair<std::string_view, Parse> kStatements[] = {
      {"if", &Parser::ifStatement},
      {"for", &Parser::forStatement},
      {"break", &Parser::loopControl},
      {"continue", &Parser::loopControl},
      {"set", &Parser::setStatement},
      {"with", &Parser::withStatement},
      {"generation", &Parser::generationBlock},
      {"filter", &Parser::filterBlock},
      {"macro", &Parser::macroDefinition},
      {"call", &Parser::callBlock},
  };
  for (const auto& [name, parse] : kStatements) {
    if (isName(name)) return (this->*parse)();
  }
  if (current().kind != TokenKind::kName) return unexpected("the name of a tag");
  const std::string tag = "{% " + printable(current().text, 40) + " %}";
  const bool missing =
      std::find(std::begin(kMissing), std::end(kMissing), current().text) != std::end(kMissing);
  return userError(tag + (missing ? ": this tag is not supported" : ": there is no such tag here"));
}

StatementResult Parser::ifStatement() {
  auto* node = tree_.make<If>(current().line);
  const auto conditional = [this](auto parse) {
    ++frame_->conditions;
    auto parsed = parse();
    --frame_->conditions;
    return parsed;
  };
  do {
    advance();
    DCC_ASSIGN(const Expression* condition, tuple(false));
    skipOperator(":");
    DCC_RETURN_IF_ERROR(expectEnd(TokenKind::kBlockEnd));
    DCC_ASSIGN(Statements statements, conditional([this] {
                 return body({"elif", "else", "endif"});
               }));
    node->branches.emplace_back(condition, std::move(statements));
  } while (isName("elif"));
  if (skipName("else")) {
    DCC_ASSIGN(node->otherwise, conditional([this] { return bodyToEnd("endif"); }));
  } else {
    advance();
  }
  return node;
}

StatementResult Parser::forStatement() {
  auto* node = tree_.make<For>(current().line);
  advance();
  DCC_ASSIGN(node->target, target("in", false));
  if (!skipName("in")) return unexpected("'in'");
  DCC_ASSIGN(node->iterable, tuple(false, "recursive"));
  const auto frameOfBody = [&] {
    Frame* frame = makeFrame();
    declare(node->target, *frame);
    return frame;
  };
  if (skipName("if")) {
    Frame* frame = frameOfBody();
    node->filter_frame = frame;
    const Within within(*this, frame);
    DCC_ASSIGN(node->filter, expression());
  }
  node->recursive = skipName("recursive");
  skipOperator(":");
  DCC_RETURN_IF_ERROR(expectEnd(TokenKind::kBlockEnd));
  DCC_RETURN_IF_ERROR(loopBody(node->body, frameOfBody()));
  if (skipName("else")) {
    DCC_ASSIGN(node->otherwise, bodyToEnd("endfor", makeFrame()));
  } else {
    advance();
  }
  return node;
}

Status Parser::loopBody(Body& loop, Frame* frame) {
  const Within within(*this, frame);
  frame->load("loop");
  loop.frame = frame;
  ++loops_;
  Result<Statements> statements = body({"else", "endfor"});
  --loops_;
  if (!statements.ok()) return statements.error();
  loop.statements = std::move(statements).value();
  return Status::success();
}

StatementResult Parser::loopControl() {
  if (loops_ == 0) return userError("{% " + current().text + " %} outside of a loop");
  auto* node = tree_.make<LoopControl>(current().line);
  node->flow = isName("break") ? Flow::kBreak : Flow::kContinue;
  advance();
  return node;
}

StatementResult Parser::setStatement() {
  const uint32_t line = current().line;
  advance();
  DCC_ASSIGN(Target assigned, target("", true));
  if (skipOperator("=")) {
    auto* node = tree_.make<Set>(line);
    DCC_ASSIGN(node->value, tuple());
    store(assigned);
    node->target = std::move(assigned);
    return node;
  }
  auto* node = tree_.make<TextBlock>(line);
  node->assigns = true;
  store(assigned);
  node->target = std::move(assigned);
  while (skipOperator("|")) {
    DCC_ASSIGN(const Applied* one, filter(nullptr));
    node->filters.push_back(one);
  }
  DCC_ASSIGN(node->body, bodyToEnd("endset", makeFrame()));
  return node;
}

StatementResult Parser::filterBlock() {
  auto* node = tree_.make<TextBlock>(current().line);
  advance();
  do {
    DCC_ASSIGN(const Applied* one, filter(nullptr));
    node->filters.push_back(one);
  } while (skipOperator("|"));
  DCC_ASSIGN(node->body, bodyToEnd("endfilter", makeFrame()));
  return node;
}

StatementResult Parser::withStatement() {
  auto* node = tree_.make<With>(current().line);
  Frame* frame = makeFrame();
  advance();
  while (current().kind != TokenKind::kBlockEnd && !isOperator(":")) {
    if (!node->variables.empty()) DCC_RETURN_IF_ERROR(expectOperator(","));
    DCC_ASSIGN(Target assigned, oneTarget(false));
    DCC_RETURN_IF_ERROR(expectOperator("="));
    DCC_ASSIGN(const Expression* value, expression());
    declare(assigned, *frame);
    node->variables.emplace_back(std::move(assigned), value);
  }
  DCC_ASSIGN(node->body, bodyToEnd("endwith", frame));
  return node;
}

// Jinja makes a function of it: `break` can't leave it.
StatementResult Parser::generationBlock() {
  auto* node = tree_.make<With>(current().line);
  advance();
  const int loops = std::exchange(loops_, 0);
  Result<Body> inside = bodyToEnd("endgeneration", makeFrame());
  loops_ = loops;
  if (!inside.ok()) return inside.error();
  node->body = std::move(inside).value();
  return node;
}

Status Parser::parameters(Signature& signature, Frame* frame) {
  const Within within(*this, frame);
  DCC_RETURN_IF_ERROR(expectOperator("("));
  while (!isOperator(")")) {
    DCC_ASSIGN(std::string name, expectName("the name of a parameter"));
    frame->load(name);
    const Expression* otherwise = nullptr;
    if (skipOperator("=")) {
      DCC_ASSIGN(otherwise, expression());
    } else if (!signature.parameters.empty() && signature.parameters.back().second != nullptr) {
      return userError("a parameter without a default behind one with a default");
    }
    signature.parameters.emplace_back(std::move(name), otherwise);
    if (!skipOperator(",")) break;
  }
  return expectOperator(")");
}

Status Parser::functionBody(Signature& signature, std::string_view end, Frame* frame) {
  signatures_.push_back(&signature);
  const int loops = std::exchange(loops_, 0);
  Result<Body> inside = bodyToEnd(end, frame);
  loops_ = loops;
  signatures_.pop_back();
  if (!inside.ok()) return inside.error();
  signature.body = std::move(inside).value();
  return Status::success();
}

StatementResult Parser::macroDefinition() {
  auto* node = tree_.make<MacroDefinition>(current().line);
  advance();
  DCC_ASSIGN(node->signature.name, expectName("the name of a macro"));
  frame_->store(node->signature.name);
  Frame* frame = makeFrame();
  DCC_RETURN_IF_ERROR(parameters(node->signature, frame));
  DCC_RETURN_IF_ERROR(functionBody(node->signature, "endmacro", frame));
  return node;
}

StatementResult Parser::callBlock() {
  auto* node = tree_.make<CallBlock>(current().line);
  Frame* frame = makeFrame();
  advance();
  if (isOperator("(")) DCC_RETURN_IF_ERROR(parameters(node->caller, frame));
  DCC_ASSIGN(const Expression* callee, expression());
  node->call = dynamic_cast<const CallOf*>(callee);
  if (node->call == nullptr) {
    return userError("{% call %} without a call; {% call name() %} is right");
  }
  DCC_RETURN_IF_ERROR(functionBody(node->caller, "endcall", frame));
  return node;
}

// One or several, up to a name.
Result<Target> Parser::target(std::string_view end, bool fields) {
  Target all;
  bool comma = false;
  do {
    if (comma && (isName(end) || isOperator("=") || current().kind == TokenKind::kBlockEnd ||
                  isOperator(")"))) {
      break;
    }
    DCC_ASSIGN(Target one, oneTarget(fields));
    all.several.push_back(std::move(one));
    comma = skipOperator(",") || comma;
  } while (comma && tokens_[at_ - 1].text == ",");
  if (!comma) return std::move(all.several[0]);
  all.is_several = true;
  return all;
}

// They are there from the beginning of the frame.
void Parser::declare(const Target& target, Frame& frame) {
  for (const Target& one : target.several) declare(one, frame);
  if (!target.is_several) frame.load(target.name);
}

Result<Target> Parser::oneTarget(bool fields) {
  if (skipOperator("(")) {
    const Nesting nesting(*this);
    DCC_RETURN_IF_ERROR(nesting.check());
    DCC_ASSIGN(Target several, target("", false));
    DCC_RETURN_IF_ERROR(expectOperator(")"));
    return several;
  }
  constexpr std::string_view kConstants[] = {"true", "True", "false", "False", "none", "None"};
  Target one;
  if (current().kind == TokenKind::kName && std::find(std::begin(kConstants), std::end(kConstants),
                                                      current().text) != std::end(kConstants)) {
    return userError("can't assign to '" + current().text + "'");
  }
  DCC_ASSIGN(one.name, expectName("a name to assign to"));
  if (fields && skipOperator(".")) {
    DCC_ASSIGN(one.field, expectName("a field to assign to"));
  }
  return one;
}

}  // namespace dcc::jinja
