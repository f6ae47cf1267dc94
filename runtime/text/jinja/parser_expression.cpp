#include <cstdlib>

#include "runtime/text/jinja/literals.h"
#include "runtime/text/jinja/parser.h"

namespace dcc::jinja {

Parser::Expr Parser::expression(bool conditional) {
  const Nesting nesting(*this);
  DCC_RETURN_IF_ERROR(nesting.check());
  const size_t unknown = unknown_.size();
  DCC_ASSIGN(const Expression* value, disjunction());
  while (conditional && isName("if")) {
    auto* node = tree_.make<Conditional>(current().line);
    advance();
    node->then = value;
    DCC_ASSIGN(node->condition, disjunction());
    if (skipName("else")) {
      DCC_ASSIGN(node->otherwise, expression());
    }
    value = node;
    unknown_.resize(unknown);  // all of it is a condition
  }
  return value;
}

Parser::Expr Parser::tuple(bool conditional, std::string_view end, bool in_brackets) {
  auto* node = tree_.make<SequenceLiteral>(current().line);
  node->kind = SequenceKind::kTuple;
  bool comma = false;
  while (current().kind != TokenKind::kVariableEnd && current().kind != TokenKind::kBlockEnd &&
         !isOperator(")") && (end.empty() || !isName(end))) {
    DCC_ASSIGN(const Expression* item, expression(conditional));
    node->items.push_back(item);
    comma = skipOperator(",");
    if (!comma) break;
  }
  if (!comma && node->items.size() == 1) return node->items[0];
  if (node->items.empty() && !in_brackets) return unexpected("an expression");
  return node;
}

Parser::Expr Parser::disjunction() {
  DCC_ASSIGN(const Expression* left, conjunction());
  while (isName("or")) {
    auto* node = tree_.make<Logical>(current().line);
    advance();
    node->left = left;
    DCC_ASSIGN(node->right, conjunction());
    left = node;
  }
  return left;
}

Parser::Expr Parser::conjunction() {
  DCC_ASSIGN(const Expression* left, negation());
  while (isName("and")) {
    auto* node = tree_.make<Logical>(current().line);
    advance();
    node->is_and = true;
    node->left = left;
    DCC_ASSIGN(node->right, negation());
    left = node;
  }
  return left;
}

Parser::Expr Parser::negation() {
  if (!isName("not")) return comparison();
  const Nesting nesting(*this);
  DCC_RETURN_IF_ERROR(nesting.check());
  auto* node = tree_.make<Unary>(current().line);
  advance();
  DCC_ASSIGN(node->operand, negation());
  return node;
}

Result<Comparison> Parser::comparisonSign() {
  constexpr std::pair<std::string_view, Comparison> kSigns[] = {
      {"==", Comparison::kEq}, {"!=", Comparison::kNe}, {"<", Comparison::kLt},
      {"<=", Comparison::kLe}, {">", Comparison::kGt},  {">=", Comparison::kGe}};
  for (const auto& [sign, comparison] : kSigns) {
    if (skipOperator(sign)) return comparison;
  }
  if (skipName("in")) return Comparison::kIn;
  if (isName("not") && ahead().kind == TokenKind::kName && ahead().text == "in") {
    advance();
    advance();
    return Comparison::kNotIn;
  }
  return unexpected("a comparison");
}

Parser::Expr Parser::comparison() {
  const uint32_t line = current().line;
  DCC_ASSIGN(const Expression* first, sum());
  ComparisonChain* node = nullptr;
  for (Result<Comparison> sign = comparisonSign(); sign.ok(); sign = comparisonSign()) {
    if (node == nullptr) node = tree_.make<ComparisonChain>(line);
    node->first = first;
    DCC_ASSIGN(const Expression* other, sum());
    node->others.emplace_back(*sign, other);
  }
  return node == nullptr ? first : node;
}

// a + b - c: from the left.
template <class Next>
Parser::Expr Parser::binaryChain(
    std::initializer_list<std::pair<std::string_view, BinaryOperator>> signs, Next next) {
  DCC_ASSIGN(const Expression* left, (this->*next)());
  for (bool more = true; more;) {
    more = false;
    for (const auto& [sign, op] : signs) {
      if (!isOperator(sign)) continue;
      auto* node = tree_.make<Binary>(current().line);
      advance();
      node->op = op;
      node->left = left;
      DCC_ASSIGN(node->right, (this->*next)());
      left = node;
      more = true;
      break;
    }
  }
  return left;
}

Parser::Expr Parser::sum() {
  return binaryChain({{"+", BinaryOperator::kAdd}, {"-", BinaryOperator::kSub}},
                     &Parser::concatenation);
}

Parser::Expr Parser::concatenation() {
  const uint32_t line = current().line;
  DCC_ASSIGN(const Expression* first, product());
  if (!isOperator("~")) return first;
  auto* node = tree_.make<Concatenation>(line);
  node->parts.push_back(first);
  while (skipOperator("~")) {
    DCC_ASSIGN(const Expression* part, product());
    node->parts.push_back(part);
  }
  return node;
}

Parser::Expr Parser::product() {
  return binaryChain({{"*", BinaryOperator::kMul},
                      {"/", BinaryOperator::kDiv},
                      {"//", BinaryOperator::kFloorDiv},
                      {"%", BinaryOperator::kMod}},
                     &Parser::power);
}

Parser::Expr Parser::power() {
  const auto operand = [this] { return unary(); };
  DCC_ASSIGN(const Expression* left, operand());
  while (isOperator("**")) {
    auto* node = tree_.make<Binary>(current().line);
    advance();
    node->op = BinaryOperator::kPow;
    node->left = left;
    DCC_ASSIGN(node->right, operand());
    left = node;
  }
  return left;
}

Parser::Expr Parser::unary(bool with_filters) {
  const Expression* value = nullptr;
  if (isOperator("-") || isOperator("+")) {
    const Nesting nesting(*this);
    DCC_RETURN_IF_ERROR(nesting.check());
    auto* node = tree_.make<Unary>(current().line);
    node->op = isOperator("-") ? UnaryOperator::kMinus : UnaryOperator::kPlus;
    advance();
    DCC_ASSIGN(node->operand, unary(false));
    value = node;
  } else {
    DCC_ASSIGN(value, primary());
  }
  DCC_ASSIGN(value, postfix(value));
  return with_filters ? filters(value) : value;
}

Parser::Expr Parser::primary() {
  switch (current().kind) {
    case TokenKind::kName:
      return name();
    case TokenKind::kString:
      return text();
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return number();
    default:
      break;
  }
  if (skipOperator("(")) {
    DCC_ASSIGN(const Expression* value, tuple(true, "", true));
    DCC_RETURN_IF_ERROR(expectOperator(")"));
    return value;
  }
  if (isOperator("[")) return list();
  if (isOperator("{")) return dict();
  return unexpected("an expression");
}

Parser::Expr Parser::name() {
  const Token token = current();
  advance();
  const bool yes = token.text == "true" || token.text == "True";
  if (yes || token.text == "false" || token.text == "False") {
    auto* node = tree_.make<Constant>(token.line);
    node->value = yes;
    return node;
  }
  if (token.text == "none" || token.text == "None") {
    auto* node = tree_.make<Constant>(token.line);
    node->value = None();
    return node;
  }
  for (Signature* signature : signatures_) {
    signature->uses_caller = signature->uses_caller || token.text == "caller";
    signature->uses_varargs = signature->uses_varargs || token.text == "varargs";
    signature->uses_kwargs = signature->uses_kwargs || token.text == "kwargs";
  }
  frame_->load(token.text);
  auto* node = tree_.make<Name>(token.line);
  node->name = token.text;
  return node;
}

Parser::Expr Parser::text() {
  auto* node = tree_.make<Constant>(current().line);
  std::string text;
  for (; current().kind == TokenKind::kString; advance()) text += current().text;
  node->value = Value(std::make_shared<const StringObject>(std::move(text), false, nullptr));
  return node;
}

Parser::Expr Parser::number() {
  auto* node = tree_.make<Constant>(current().line);
  if (current().kind == TokenKind::kFloat) {
    node->value = std::strtod(current().text.c_str(), nullptr);
  } else {
    const std::optional<int64_t> integer = integerOf(current().text);
    if (!integer) return userError("an integer of more than 64 bits is not supported");
    node->value = *integer;
  }
  advance();
  return node;
}

Parser::Expr Parser::list() {
  auto* node = tree_.make<SequenceLiteral>(current().line);
  advance();
  while (!isOperator("]")) {
    DCC_ASSIGN(const Expression* item, expression());
    node->items.push_back(item);
    if (!skipOperator(",")) break;
  }
  DCC_RETURN_IF_ERROR(expectOperator("]"));
  return node;
}

Parser::Expr Parser::dict() {
  auto* node = tree_.make<DictLiteral>(current().line);
  advance();
  while (!isOperator("}")) {
    DCC_ASSIGN(const Expression* key, expression());
    DCC_RETURN_IF_ERROR(expectOperator(":"));
    DCC_ASSIGN(const Expression* value, expression());
    node->entries.emplace_back(key, value);
    if (!skipOperator(",")) break;
  }
  DCC_RETURN_IF_ERROR(expectOperator("}"));
  return node;
}

}  // namespace dcc::jinja
