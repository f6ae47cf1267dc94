// What stands behind a value: attributes, items, calls, filters and tests.

#include "runtime/text/jinja/literals.h"
#include "runtime/text/jinja/parser.h"

namespace dcc::jinja {

Parser::Expr Parser::postfix(const Expression* operand) {
  const Expression* value = operand;
  for (;;) {
    if (isOperator(".") || isOperator("[")) {
      DCC_ASSIGN(value, subscript(value));
    } else if (isOperator("(")) {
      DCC_ASSIGN(value, call(value));
    } else {
      return value;
    }
  }
}

Parser::Expr Parser::subscript(const Expression* object) {
  const uint32_t line = current().line;
  if (skipOperator(".")) {
    if (current().kind == TokenKind::kName) {
      auto* node = tree_.make<AttributeOf>(line);
      node->object = object;
      node->name = current().text;
      advance();
      return node;
    }
    if (current().kind != TokenKind::kInteger) return unexpected("a name or number");
    auto* node = tree_.make<ItemOf>(line);
    node->object = object;
    DCC_ASSIGN(node->key, number());
    return node;
  }
  advance();
  const Expression* bounds[3] = {};
  int parts = 0;  // colons and what is between them
  for (; parts < 3; ++parts) {
    if (!isOperator(":") && !isOperator("]")) {
      DCC_ASSIGN(bounds[parts], expression());
    }
    if (parts == 2 || !skipOperator(":")) break;
  }
  if (isOperator(",")) return userError("several indices in [] are not supported; one is right");
  DCC_RETURN_IF_ERROR(expectOperator("]"));
  if (parts == 0) {
    if (bounds[0] == nullptr) return userError("nothing in []; an index is right");
    auto* node = tree_.make<ItemOf>(line);
    node->object = object;
    node->key = bounds[0];
    return node;
  }
  auto* node = tree_.make<SliceOf>(line);
  node->object = object;
  std::copy(bounds, bounds + 3, node->bounds);
  return node;
}

Result<const CallOf*> Parser::call(const Expression* function) {
  auto* node = tree_.make<CallOf>(current().line);
  node->function = function;
  DCC_RETURN_IF_ERROR(callArguments(node->arguments));
  return node;
}

Status Parser::callArguments(CallArguments& arguments) {
  DCC_RETURN_IF_ERROR(expectOperator("("));
  while (!isOperator(")")) {
    const bool rest = arguments.more_positional != nullptr || arguments.more_named != nullptr;
    if (isOperator("*") && !rest) {
      advance();
      DCC_ASSIGN(arguments.more_positional, expression());
    } else if (isOperator("**") && arguments.more_named == nullptr) {
      advance();
      DCC_ASSIGN(arguments.more_named, expression());
    } else if (current().kind == TokenKind::kName && ahead().kind == TokenKind::kOperator &&
               ahead().text == "=" && arguments.more_named == nullptr) {
      std::string name = current().text;
      advance();
      advance();
      DCC_ASSIGN(const Expression* value, expression());
      arguments.named.emplace_back(std::move(name), value);
    } else {
      if (rest || !arguments.named.empty()) return unexpected("no more arguments without a name");
      DCC_ASSIGN(const Expression* value, expression());
      arguments.positional.push_back(value);
    }
    if (!skipOperator(",")) break;
  }
  return expectOperator(")");
}

Parser::Expr Parser::filters(const Expression* operand) {
  const Expression* value = operand;
  for (;;) {
    if (skipOperator("|")) {
      DCC_ASSIGN(value, filter(value));
    } else if (isName("is")) {
      DCC_ASSIGN(value, test(value));
    } else if (isOperator("(")) {
      DCC_ASSIGN(value, call(value));
    } else {
      return value;
    }
  }
}

// "upper", or with dots, as no filter of Jinja's own has.
Status Parser::nameOf(Applied& node) {
  DCC_ASSIGN(node.name, expectName("a name"));
  while (skipOperator(".")) {
    DCC_ASSIGN(const std::string part, expectName("a name"));
    node.name += "." + part;
  }
  if (frame_->conditions == 0 && !isNative(node.kind, node.name)) unknown_.push_back(&node);
  return Status::success();
}

// Behind the "|".
Result<const Applied*> Parser::filter(const Expression* operand) {
  auto* node = tree_.make<Applied>(current().line);
  node->operand = operand;
  DCC_RETURN_IF_ERROR(nameOf(*node));
  if (isOperator("(")) DCC_RETURN_IF_ERROR(callArguments(node->arguments));
  return node;
}

Parser::Expr Parser::test(const Expression* operand) {
  auto* node = tree_.make<Applied>(current().line);
  advance();
  const bool negated = skipName("not");
  node->kind = NativeKind::kTest;
  node->operand = operand;
  DCC_RETURN_IF_ERROR(nameOf(*node));
  const bool value =
      current().kind == TokenKind::kString || current().kind == TokenKind::kInteger ||
      current().kind == TokenKind::kFloat || isOperator("[") || isOperator("{") ||
      (current().kind == TokenKind::kName && !isName("else") && !isName("or") && !isName("and"));
  if (isOperator("(")) {
    DCC_RETURN_IF_ERROR(callArguments(node->arguments));
  } else if (value) {
    if (isName("is")) return userError("tests cannot be chained; `and` between them is right");
    // `x is eq y`: one argument without brackets, and no operators behind it.
    DCC_ASSIGN(const Expression* first, primary());
    DCC_ASSIGN(first, postfix(first));
    node->arguments.positional.push_back(first);
  }
  if (!negated) return node;
  auto* negation = tree_.make<Unary>(node->line);
  negation->operand = node;
  return negation;
}

}  // namespace dcc::jinja
