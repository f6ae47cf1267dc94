#include "runtime/text/jinja/expressions.h"

#include "runtime/base/printable.h"
#include "runtime/text/jinja/attributes.h"
#include "runtime/text/jinja/loop.h"
#include "runtime/text/jinja/text.h"

namespace dcc::jinja {

Result<Value> Name::compute(Run&, Scope& scope) const {
  const Value* value = scope.find(name);
  return value != nullptr ? *value : Value::undefined("'" + name + "' is undefined");
}

Result<Value> SequenceLiteral::compute(Run& run, Scope& scope) const {
  std::vector<Value> values;
  for (const Expression* item : items) {
    DCC_ASSIGN(Value value, item->evaluate(run, scope));
    values.push_back(std::move(value));
  }
  return run.sequence(kind, std::move(values));
}

Result<Value> DictLiteral::compute(Run& run, Scope& scope) const {
  Dict dict;
  for (const auto& [key, value] : entries) {
    DCC_ASSIGN(Value k, key->evaluate(run, scope));
    DCC_ASSIGN(Value v, value->evaluate(run, scope));
    DCC_RETURN_IF_ERROR(checkKey(run, k));
    dict.set(std::move(k), std::move(v));
  }
  return run.dict(std::move(dict));
}

Result<Value> AttributeOf::compute(Run& run, Scope& scope) const {
  DCC_ASSIGN(const Value value, object->evaluate(run, scope));
  return attribute(run, value, name);
}

Result<Value> ItemOf::compute(Run& run, Scope& scope) const {
  DCC_ASSIGN(const Value value, object->evaluate(run, scope));
  DCC_ASSIGN(const Value index, key->evaluate(run, scope));
  return item(run, value, index);
}

Result<Value> SliceOf::compute(Run& run, Scope& scope) const {
  DCC_ASSIGN(const Value value, object->evaluate(run, scope));
  Value at[3] = {Value(None()), Value(None()), Value(None())};
  for (int i = 0; i < 3; ++i) {
    if (bounds[i] == nullptr) continue;
    DCC_ASSIGN(at[i], bounds[i]->evaluate(run, scope));
  }
  return slice(run, value, at[0], at[1], at[2]);
}

Result<Value> CallOf::callWith(Run& run, Scope& scope, const Value* caller) const {
  DCC_ASSIGN(const Value callee, function->evaluate(run, scope));
  DCC_ASSIGN(Arguments given, arguments.evaluate(run, scope));
  if (caller != nullptr) given.named.emplace_back("caller", *caller);
  if (callee.callable() != nullptr) return callee.callable()->call(run, std::move(given));
  if (callee.loop() != nullptr) return callee.loop()->call(run, given);
  if (callee.isUndefined()) return userError(callee.why());
  return Error(typeError(callee, "is not callable"));
}

Result<Value> Applied::apply(Run& run, Scope& scope, const Value& value) const {
  DCC_ASSIGN(Arguments given, arguments.evaluate(run, scope));
  return callNative(run, kind, name, value, std::move(given));
}

Result<Value> Applied::compute(Run& run, Scope& scope) const {
  DCC_ASSIGN(const Value value, operand->evaluate(run, scope));
  return apply(run, scope, value);
}

Result<Value> Unary::compute(Run& run, Scope& scope) const {
  DCC_ASSIGN(const Value value, operand->evaluate(run, scope));
  if (op == UnaryOperator::kNot) return Value(!truth(value));
  if (op == UnaryOperator::kMinus) return negative(run, value);
  double unused;
  if (value.isUndefined()) return userError(value.why());
  if (!value.number(unused)) {
    return userError("bad operand type for unary +: '" + std::string(typeName(value)) + "'");
  }
  return binary(run, BinaryOperator::kAdd, Value(int64_t{0}), value);  // of a bool: an int
}

Result<Value> Binary::compute(Run& run, Scope& scope) const {
  DCC_ASSIGN(const Value a, left->evaluate(run, scope));
  DCC_ASSIGN(const Value b, right->evaluate(run, scope));
  return binary(run, op, a, b);
}

Result<Value> Logical::compute(Run& run, Scope& scope) const {
  DCC_ASSIGN(const Value value, left->evaluate(run, scope));
  if (truth(value) == is_and) return right->evaluate(run, scope);
  return value;
}

Result<Value> Concatenation::compute(Run& run, Scope& scope) const {
  TextBuilder text(run);
  for (const Expression* part : parts) {
    DCC_ASSIGN(const Value value, part->evaluate(run, scope));
    DCC_RETURN_IF_ERROR(addText(run, value, text));
  }
  return run.string(text.take());
}

Result<Value> ComparisonChain::compute(Run& run, Scope& scope) const {
  DCC_ASSIGN(Value left, first->evaluate(run, scope));
  for (const auto& [op, expression] : others) {
    DCC_ASSIGN(Value right, expression->evaluate(run, scope));
    DCC_ASSIGN(const bool holds, compare(run, op, left, right));
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Result<Value> Conditional::compute(Run& run, Scope& scope) const {
  DCC_ASSIGN(const Value value, condition->evaluate(run, scope));
  if (truth(value)) return then->evaluate(run, scope);
  if (otherwise != nullptr) return otherwise->evaluate(run, scope);
  return Value::undefined("the inline if-expression on line " + std::to_string(line) +
                          " evaluated to false and no else section was defined.");
}

}  // namespace dcc::jinja
