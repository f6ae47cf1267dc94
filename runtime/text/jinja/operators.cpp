#include "runtime/text/jinja/operators.h"

#include <cmath>
#include <optional>

#include "runtime/base/checked.h"
#include "runtime/text/jinja/percent_format.h"
#include "runtime/text/jinja/text.h"

namespace dcc::jinja {
namespace {

constexpr const char* kSigns[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};

Error wrongOperands(BinaryOperator op, const Value& a, const Value& b) {
  return userError("unsupported operand type(s) for " + std::string(kSigns[static_cast<int>(op)]) +
                   ": '" + std::string(typeName(a)) + "' and '" + std::string(typeName(b)) + "'");
}

// Python's: rounds down, and the remainder has the divisor's sign.
double floorDivide(double x, double y) {
  const double rest = std::fmod(x, y);
  double quotient = (x - rest) / y;  // whole but for rounding
  if (rest != 0 && (rest < 0) != (y < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, x / y);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

double modulo(double x, double y) {
  const double rest = std::fmod(x, y);
  if (rest == 0) return std::copysign(0.0, y);
  return (rest < 0) != (y < 0) ? rest + y : rest;
}

std::optional<int64_t> power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  std::optional<int64_t> square = base;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) {
      if (!square) return std::nullopt;
      const std::optional<int64_t> product = checkedMul(result, *square);
      if (!product) return std::nullopt;
      result = *product;
    }
    if (square) square = checkedMul(*square, *square);
  }
  return result;
}

Result<Value> integers(Run& run, BinaryOperator op, int64_t a, int64_t b) {
  std::optional<int64_t> result;
  int64_t r;
  switch (op) {
    case BinaryOperator::kAdd:
      result = checkedAdd(a, b);
      break;
    case BinaryOperator::kSub:
      if (!__builtin_sub_overflow(a, b, &r)) result = r;
      break;
    case BinaryOperator::kMul:
      result = checkedMul(a, b);
      break;
    case BinaryOperator::kDiv:
      if (b == 0) return userError("division by zero");
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case BinaryOperator::kFloorDiv:
    case BinaryOperator::kMod:
      if (b == 0) return userError("integer division or modulo by zero");
      if (b == -1) {  // the least int has no quotient
        if (op == BinaryOperator::kMod) return Value(int64_t{0});
        if (!__builtin_sub_overflow(int64_t{0}, a, &r)) result = r;
      } else if (op == BinaryOperator::kMod) {
        result = (a % b + b) % b;
      } else {
        result = a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
      }
      break;
    case BinaryOperator::kPow:
      if (b < 0) {
        if (a == 0) return userError("0.0 cannot be raised to a negative power");
        return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
      }
      result = power(a, b);
      break;
  }
  if (!result) return run.unsupported("an integer of more than 64 bits");
  return Value(*result);
}

Result<Value> floats(Run& run, BinaryOperator op, double a, double b) {
  const bool divides =
      op == BinaryOperator::kDiv || op == BinaryOperator::kFloorDiv || op == BinaryOperator::kMod;
  if (divides && b == 0) return userError("float division by zero");
  switch (op) {
    case BinaryOperator::kAdd:
      return Value(a + b);
    case BinaryOperator::kSub:
      return Value(a - b);
    case BinaryOperator::kMul:
      return Value(a * b);
    case BinaryOperator::kDiv:
      return Value(a / b);
    case BinaryOperator::kFloorDiv:
      return Value(floorDivide(a, b));
    case BinaryOperator::kMod:
      return Value(modulo(a, b));
    case BinaryOperator::kPow:
      break;
  }
  if (a == 0 && b < 0) return userError("0.0 cannot be raised to a negative power");
  const double result = std::pow(a, b);
  if (std::isnan(result) && !std::isnan(a) && !std::isnan(b)) {
    return run.unsupported("a complex number");
  }
  if (std::isinf(result) && !std::isinf(a) && !std::isinf(b)) {
    return userError("(34, 'Numerical result out of range')");
  }
  return Value(result);
}

Result<Value> repeat(Run& run, const Value& value, int64_t times) {
  const auto count = static_cast<uint64_t>(std::max<int64_t>(times, 0));
  if (value.isString()) {
    TextBuilder text(run);
    text.repeat(value.text(), count);
    return run.string(text.take(), value.string()->safe);
  }
  const std::vector<Value>& items = value.sequence()->items;
  std::vector<Value> all;
  const std::optional<uint64_t> size = checkedMul<uint64_t>(items.size(), count);
  const std::optional<uint64_t> bytes =
      size ? checkedMul<uint64_t>(*size, sizeof(Value)) : std::nullopt;
  if (run.room(bytes.value_or(UINT64_MAX))) {
    all.reserve(*size);
    for (uint64_t i = 0; i < count; ++i) all.insert(all.end(), items.begin(), items.end());
  }
  return run.sequence(value.sequence()->kind, std::move(all));
}

bool isListOrTuple(const Value& value) {
  return value.sequence() != nullptr && (value.sequence()->kind == SequenceKind::kList ||
                                         value.sequence()->kind == SequenceKind::kTuple);
}

Result<Value> concatenation(Run& run, const Value& a, const Value& b) {
  if (a.isString() && b.isString()) {
    TextBuilder text(run);
    // What is safe makes the other so.
    const bool safe = a.string()->safe || b.string()->safe;
    for (const Value* part : {&a, &b}) {
      if (safe) {
        addEscaped(*part, text);
      } else {
        text.add(part->text());
      }
    }
    return run.string(text.take(), safe);
  }
  if (isListOrTuple(a) && isListOrTuple(b) && a.sequence()->kind == b.sequence()->kind) {
    const std::vector<Value>&first = a.sequence()->items, &second = b.sequence()->items;
    std::vector<Value> all;
    if (run.room((first.size() + second.size()) * sizeof(Value))) {
      all = first;
      all.insert(all.end(), second.begin(), second.end());
    }
    return run.sequence(a.sequence()->kind, std::move(all));
  }
  if (a.isString() || isListOrTuple(a)) {
    const std::string name(typeName(a));
    return userError("can only concatenate " + name + " (not \"" + std::string(typeName(b)) +
                     "\") to " + name);
  }
  return wrongOperands(BinaryOperator::kAdd, a, b);
}

}  // namespace

Error typeError(const Value& value, std::string_view what) {
  return userError("'" + std::string(typeName(value)) + "' object " + std::string(what));
}

bool truth(const Value& value) {
  double number;
  if (value.isUndefined() || value.isNone()) return false;
  if (value.number(number)) return number != 0;
  if (value.isString()) return !value.text().empty();
  if (value.sequence() != nullptr) return !value.sequence()->items.empty();
  return value.dict() == nullptr || value.dict()->dict.size() > 0;
}

Result<Value> binary(Run& run, BinaryOperator op, const Value& a, const Value& b) {
  // Formatting comes first: "%s" of something undefined is empty.
  if (op == BinaryOperator::kMod && a.isString()) return percentFormat(run, a, b);
  for (const Value* value : {&a, &b}) {
    if (value->isUndefined()) return userError(value->why());
  }
  int64_t scratch_a, scratch_b;
  const int64_t *i = a.integer(scratch_a), *j = b.integer(scratch_b);
  if (i != nullptr && j != nullptr) return integers(run, op, *i, *j);
  double x, y;
  if (a.number(x) && b.number(y)) return floats(run, op, x, y);
  if (op == BinaryOperator::kMul) {
    const auto repeats = [](const Value& value) {
      return value.isString() || isListOrTuple(value);
    };
    if (repeats(a) && j != nullptr) return repeat(run, a, *j);
    if (repeats(b) && i != nullptr) return repeat(run, b, *i);
  }
  return op == BinaryOperator::kAdd ? concatenation(run, a, b) : wrongOperands(op, a, b);
}

Result<Value> negative(Run& run, const Value& value) {
  int64_t scratch;
  if (const int64_t* i = value.integer(scratch)) {
    return integers(run, BinaryOperator::kSub, 0, *i);
  }
  if (value.floating() != nullptr) return Value(-*value.floating());
  if (value.isUndefined()) return userError(value.why());
  return userError("bad operand type for unary -: '" + std::string(typeName(value)) + "'");
}

}  // namespace dcc::jinja
