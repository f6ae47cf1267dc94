// Expressions of a template.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/text/jinja/native.h"
#include "runtime/text/jinja/node.h"
#include "runtime/text/jinja/operators.h"

namespace dcc::jinja {

struct Constant final : Expression {
  Value value;

 private:
  Result<Value> compute(Run&, Scope&) const override { return value; }
};

struct Name final : Expression {
  std::string name;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

struct SequenceLiteral final : Expression {
  SequenceKind kind = SequenceKind::kList;
  std::vector<const Expression*> items;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

struct DictLiteral final : Expression {
  std::vector<std::pair<const Expression*, const Expression*>> entries;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

struct AttributeOf final : Expression {
  const Expression* object = nullptr;
  std::string name;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

struct ItemOf final : Expression {
  const Expression* object = nullptr;
  const Expression* key = nullptr;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

struct SliceOf final : Expression {
  const Expression* object = nullptr;
  const Expression* bounds[3] = {};  // null: left out

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

struct CallOf final : Expression {
  const Expression* function = nullptr;
  CallArguments arguments;

  // With one more named argument, where there is one.
  Result<Value> callWith(Run& run, Scope& scope, const Value* caller) const;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override {
    return callWith(run, scope, nullptr);
  }
};

// A filter or test of a value.
struct Applied final : Expression {
  NativeKind kind = NativeKind::kFilter;
  std::string name;
  const Expression* operand = nullptr;  // null: the text of a block
  CallArguments arguments;

  Result<Value> apply(Run& run, Scope& scope, const Value& value) const;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

enum class UnaryOperator { kNot, kMinus, kPlus };

struct Unary final : Expression {
  UnaryOperator op = UnaryOperator::kNot;
  const Expression* operand = nullptr;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

struct Binary final : Expression {
  BinaryOperator op = BinaryOperator::kAdd;
  const Expression *left = nullptr, *right = nullptr;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

// `and` and `or` give one of their operands.
struct Logical final : Expression {
  bool is_and = false;
  const Expression *left = nullptr, *right = nullptr;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

// a ~ b ~ c.
struct Concatenation final : Expression {
  std::vector<const Expression*> parts;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

// a < b < c.
struct ComparisonChain final : Expression {
  const Expression* first = nullptr;
  std::vector<std::pair<Comparison, const Expression*>> others;

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

struct Conditional final : Expression {
  const Expression *condition = nullptr, *then = nullptr;
  const Expression* otherwise = nullptr;  // null: undefined

 private:
  Result<Value> compute(Run& run, Scope& scope) const override;
};

}  // namespace dcc::jinja
