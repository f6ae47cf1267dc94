// Statements of a template.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/text/jinja/expressions.h"
#include "runtime/text/jinja/node.h"

namespace dcc::jinja {

struct Data final : Statement {
  std::string text;

 private:
  Result<Flow> act(Run& run, Scope& scope, TextBuilder& out) const override;
};

// {{ value }}.
struct Print final : Statement {
  const Expression* value = nullptr;

 private:
  Result<Flow> act(Run& run, Scope& scope, TextBuilder& out) const override;
};

struct If final : Statement {
  std::vector<std::pair<const Expression*, Statements>> branches;
  Statements otherwise;

 private:
  Result<Flow> act(Run& run, Scope& scope, TextBuilder& out) const override;
};

struct For final : Statement {
  Target target;
  const Expression* iterable = nullptr;
  const Expression* filter = nullptr;  // null: all items
  bool recursive = false;
  const Frame* filter_frame = nullptr;
  Body body, otherwise;

 private:
  Result<Flow> act(Run& run, Scope& scope, TextBuilder& out) const override;
  Result<Flow> iterate(Run& run, Scope& scope, const Value& over, int64_t level,
                       TextBuilder& out) const;
};

struct LoopControl final : Statement {
  Flow flow = Flow::kBreak;

 private:
  Result<Flow> act(Run&, Scope&, TextBuilder&) const override { return flow; }
};

struct Set final : Statement {
  Target target;
  const Expression* value = nullptr;

 private:
  Result<Flow> act(Run& run, Scope& scope, TextBuilder& out) const override;
};

// {% set x %}...{% endset %}, {% filter f %}...{% endfilter %}: the text of a block through
// filters, into a variable or out.
struct TextBlock final : Statement {
  bool assigns = false;
  Target target;
  std::vector<const Applied*> filters;
  Body body;

 private:
  Result<Flow> act(Run& run, Scope& scope, TextBuilder& out) const override;
};

// {% with a = 1 %}, and {% generation %}, which marks what the model wrote and only has a scope.
struct With final : Statement {
  std::vector<std::pair<Target, const Expression*>> variables;
  Body body;

 private:
  Result<Flow> act(Run& run, Scope& scope, TextBuilder& out) const override;
};

// What a macro and the body of {% call %} have in common.
struct Signature {
  std::string name;                                                   // "": of a call
  std::vector<std::pair<std::string, const Expression*>> parameters;  // null: no default
  // Whether the body uses these names, and so takes what they stand for.
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
  Body body;
};

struct MacroDefinition final : Statement {
  Signature signature;

 private:
  Result<Flow> act(Run& run, Scope& scope, TextBuilder& out) const override;
};

struct CallBlock final : Statement {
  Signature caller;
  const CallOf* call = nullptr;

 private:
  Result<Flow> act(Run& run, Scope& scope, TextBuilder& out) const override;
};

}  // namespace dcc::jinja
