// What may stand behind `is`.
#include "runtime/text/jinja/characters.h"
#include "runtime/text/jinja/native.h"
#include "runtime/text/jinja/operators.h"
#include "runtime/text/jinja/text.h"

namespace dcc::jinja {
namespace {

using Self = const Value&;
using Args = const Bound&;

template <Comparison kOp>
Result<Value> compared(Run& run, Self self, Args args) {
  DCC_ASSIGN(const bool holds, compare(run, kOp, self, args[0]));
  return Value(holds);
}

template <NativeKind kKind>
Result<Value> exists(Run& run, Self self, Args) {
  DCC_RETURN_IF_ERROR(checkKey(run, self));
  return Value(self.isString() && isNative(kKind, self.text()));
}

// self % by == rest.
Result<Value> leaves(Run& run, Self self, const Value& by, int64_t rest) {
  DCC_ASSIGN(const Value modulo, binary(run, BinaryOperator::kMod, self, by));
  return Value(equal(run, modulo, Value(rest)));
}

template <bool (*kIs)(std::string_view)>
Result<Value> textIs(Run& run, Self self, Args) {
  DCC_ASSIGN(const std::string text, toText(run, self));
  return Value(kIs(text));
}

bool isInteger(const Value& value) {
  int64_t scratch;
  return value.boolean() == nullptr && value.integer(scratch) != nullptr;
}

bool isNumber(const Value& value) {
  double number;
  return value.number(number);
}

bool isSequence(const Value& value) {
  return value.isString() || value.dict() != nullptr || value.isUndefined() ||
         (value.sequence() != nullptr && value.sequence()->kind <= SequenceKind::kRange);
}

bool isIterable(const Value& value) {
  return isSequence(value) || value.sequence() != nullptr || value.generator() != nullptr ||
         value.loop() != nullptr;
}

constexpr Native kTests[] = {
    {"!=", compared<Comparison::kNe>, "other", 1},
    {"<", compared<Comparison::kLt>, "other", 1},
    {"<=", compared<Comparison::kLe>, "other", 1},
    {"==", compared<Comparison::kEq>, "other", 1},
    {">", compared<Comparison::kGt>, "other", 1},
    {">=", compared<Comparison::kGe>, "other", 1},
    {"boolean",
     [](Run&, Self self, Args) -> Result<Value> { return Value(self.boolean() != nullptr); }, ""},
    {"callable",
     [](Run&, Self self, Args) -> Result<Value> {
       return Value(self.callable() != nullptr || self.loop() != nullptr || self.isUndefined());
     },
     ""},
    {"defined", [](Run&, Self self, Args) -> Result<Value> { return Value(!self.isUndefined()); },
     ""},
    {"divisibleby",
     [](Run& run, Self self, Args args) -> Result<Value> { return leaves(run, self, args[0], 0); },
     "num", 1},
    {"eq", compared<Comparison::kEq>, "other", 1},
    {"equalto", compared<Comparison::kEq>, "other", 1},
    {"escaped",
     [](Run&, Self self, Args) -> Result<Value> {
       return Value(self.isString() && self.string()->safe);
     },
     ""},
    {"even",
     [](Run& run, Self self, Args) -> Result<Value> {
       return leaves(run, self, Value(int64_t{2}), 0);
     },
     ""},
    {"false",
     [](Run&, Self self, Args) -> Result<Value> {
       return Value(self.boolean() != nullptr && !*self.boolean());
     },
     ""},
    {"filter", exists<NativeKind::kFilter>, ""},
    {"float",
     [](Run&, Self self, Args) -> Result<Value> { return Value(self.floating() != nullptr); }, ""},
    {"ge", compared<Comparison::kGe>, "other", 1},
    {"greaterthan", compared<Comparison::kGt>, "other", 1},
    {"gt", compared<Comparison::kGt>, "other", 1},
    {"in", compared<Comparison::kIn>, "seq", 1},
    {"integer", [](Run&, Self self, Args) -> Result<Value> { return Value(isInteger(self)); }, ""},
    {"iterable", [](Run&, Self self, Args) -> Result<Value> { return Value(isIterable(self)); },
     ""},
    {"le", compared<Comparison::kLe>, "other", 1},
    {"lessthan", compared<Comparison::kLt>, "other", 1},
    {"lower", textIs<isLowerText>, ""},
    {"lt", compared<Comparison::kLt>, "other", 1},
    {"mapping",
     [](Run&, Self self, Args) -> Result<Value> { return Value(self.dict() != nullptr); }, ""},
    {"ne", compared<Comparison::kNe>, "other", 1},
    {"none", [](Run&, Self self, Args) -> Result<Value> { return Value(self.isNone()); }, ""},
    {"number", [](Run&, Self self, Args) -> Result<Value> { return Value(isNumber(self)); }, ""},
    {"odd",
     [](Run& run, Self self, Args) -> Result<Value> {
       return leaves(run, self, Value(int64_t{2}), 1);
     },
     ""},
    {"sameas", [](Run&, Self self, Args args) -> Result<Value> { return Value(self.is(args[0])); },
     "other", 1},
    {"sequence", [](Run&, Self self, Args) -> Result<Value> { return Value(isSequence(self)); },
     ""},
    {"string", [](Run&, Self self, Args) -> Result<Value> { return Value(self.isString()); }, ""},
    {"test", exists<NativeKind::kTest>, ""},
    {"true",
     [](Run&, Self self, Args) -> Result<Value> {
       return Value(self.boolean() != nullptr && *self.boolean());
     },
     ""},
    {"undefined", [](Run&, Self self, Args) -> Result<Value> { return Value(self.isUndefined()); },
     ""},
    {"upper", textIs<isUpperText>, ""},
};

}  // namespace

std::span<const Native> tests() { return kTests; }

}  // namespace dcc::jinja
