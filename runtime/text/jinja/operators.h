// Python's operators, and what else it does with values of every type.
#pragma once

#include <string_view>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/text/jinja/run.h"
#include "runtime/text/jinja/value.h"

namespace dcc::jinja {

enum class BinaryOperator { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
enum class Comparison { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

bool truth(const Value& value);

// Errors: types that do not go with each other, division by zero; (unsupported) ints of more than
// 64 bits.
Result<Value> binary(Run& run, BinaryOperator op, const Value& a, const Value& b);
Result<Value> negative(Run& run, const Value& value);

// Errors: an order of types that have none, `in` of what holds nothing.
Result<bool> compare(Run& run, Comparison op, const Value& a, const Value& b);
// a == b, which Python can say of everything.
bool equal(Run& run, const Value& a, const Value& b);
// a < b.
Result<bool> less(Run& run, const Value& a, const Value& b);
Result<bool> contains(Run& run, const Value& container, const Value& item);

// Error: lists and dicts, and tuples with them, are no keys.
Status checkKey(Run& run, const Value& key);

// Everything that a for loop would visit. A generator has nothing left then. Error: not iterable.
Result<std::vector<Value>> items(Run& run, const Value& value);
// Python's len(). Error: of what has none.
Result<int64_t> length(const Value& value);

// "'int' object is not iterable".
Error typeError(const Value& value, std::string_view what);

}  // namespace dcc::jinja
