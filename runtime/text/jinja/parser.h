// From tokens to the syntax tree, by Jinja's grammar.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/text/jinja/lexer.h"
#include "runtime/text/jinja/node.h"
#include "runtime/text/jinja/statements.h"

namespace dcc::jinja {

// Expressions in brackets, blocks in blocks. Python, which Jinja compiles to, has no more than 200.
constexpr int kDeepestSyntax = 200;

class Parser {
 public:
  // The nodes go into `tree`.
  Parser(std::vector<Token> tokens, Tree& tree) : tokens_(std::move(tokens)), tree_(tree) {}

  // The whole template. Errors: what is no Jinja, or not supported; `line()` is where.
  Result<Body> parse();
  uint32_t line() const { return missing_ != nullptr ? missing_->line : current().line; }

 private:
  using Expr = Result<const Expression*>;
  class Nesting;
  class Within;

  // Tokens.
  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  void advance() { at_ += at_ + 1 < tokens_.size() ? 1 : 0; }
  bool isOperator(std::string_view text) const;
  bool isName(std::string_view text) const;
  bool skipOperator(std::string_view text);
  bool skipName(std::string_view text);
  Status expectOperator(std::string_view text);
  Status expectEnd(TokenKind kind);
  Result<std::string> expectName(std::string_view what);
  Error unexpected(std::string_view expected) const;

  // parser_expression.cpp, from the loosest operators to the tightest.
  Expr expression(bool conditional = true);
  // Commas make a tuple.
  Expr tuple(bool conditional = true, std::string_view end = "", bool in_brackets = false);
  Expr disjunction();
  Expr conjunction();
  Expr negation();
  Expr comparison();
  Expr sum();
  Expr concatenation();
  Expr product();
  Expr power();
  Expr unary(bool with_filters = true);
  Expr primary();
  Expr name();
  Expr text();
  Expr number();
  Expr list();
  Expr dict();
  Expr postfix(const Expression* operand);
  Expr subscript(const Expression* object);
  Expr filters(const Expression* operand);
  Result<const Applied*> filter(const Expression* operand);
  Expr test(const Expression* operand);
  Result<const CallOf*> call(const Expression* function);
  Status nameOf(Applied& node);
  Status callArguments(CallArguments& arguments);
  Result<Comparison> comparisonSign();
  template <class Next>
  Expr binaryChain(std::initializer_list<std::pair<std::string_view, BinaryOperator>> signs,
                   Next next);

  // parser_statement.cpp.
  Result<Statements> body(std::initializer_list<std::string_view> ends);
  Result<Statements> bodyToEnd(std::string_view end);
  Result<Body> bodyToEnd(std::string_view end, Frame* frame);
  Status data(Statements& statements);
  Result<const Statement*> statement();
  Result<const Statement*> ifStatement();
  Result<const Statement*> forStatement();
  Status loopBody(Body& loop, Frame* frame);
  Result<const Statement*> loopControl();
  Result<const Statement*> setStatement();
  Result<const Statement*> withStatement();
  Result<const Statement*> generationBlock();
  Result<const Statement*> filterBlock();
  Result<const Statement*> macroDefinition();
  Result<const Statement*> callBlock();
  Status parameters(Signature& signature, Frame* frame);
  Status functionBody(Signature& signature, std::string_view end, Frame* frame);
  Result<Target> target(std::string_view end, bool fields);
  Result<Target> oneTarget(bool fields);
  static void declare(const Target& target, Frame& frame);
  // The frame of a scope within the current one.
  Frame* makeFrame();
  // Names that are assigned to, in the current frame.
  void store(const Target& target);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  Tree& tree_;
  std::vector<Frame*> frames_;  // all
  Frame* frame_ = nullptr;      // the current
  int depth_ = 0;
  int loops_ = 0;                       // that `break` could end here
  std::vector<Signature*> signatures_;  // of the macros around
  // Filters and tests that Jinja doesn't have, where it would miss them before it runs: in no
  // condition.
  std::vector<const Applied*> unknown_;
  const Applied* missing_ = nullptr;  // the first of them, in a template that is right otherwise
};

// Counts expressions and blocks in each other.
class Parser::Nesting {
 public:
  explicit Nesting(Parser& parser) : depth_(parser.depth_) { ++depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  ~Nesting() { --depth_; }
  Status check() const {
    if (depth_ <= kDeepestSyntax) return Status::success();
    return userError("brackets or blocks are nested too deep");
  }

 private:
  int& depth_;
};

// Parses what follows as part of a frame.
class Parser::Within {
 public:
  Within(Parser& parser, Frame* frame) : parser_(parser), before_(parser.frame_) {
    parser.frame_ = frame;
  }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;
  ~Within() { parser_.frame_ = before_; }

 private:
  Parser& parser_;
  Frame* before_;
};

}  // namespace dcc::jinja
