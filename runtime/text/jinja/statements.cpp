#include "runtime/text/jinja/statements.h"

#include <optional>

#include "runtime/text/jinja/loop.h"
#include "runtime/text/jinja/macro.h"
#include "runtime/text/jinja/text.h"

namespace dcc::jinja {

Result<Flow> Data::act(Run&, Scope&, TextBuilder& out) const {
  out.add(text);
  return Flow::kNext;
}

Result<Flow> Print::act(Run& run, Scope& scope, TextBuilder& out) const {
  DCC_ASSIGN(const Value printed, value->evaluate(run, scope));
  DCC_RETURN_IF_ERROR(addText(run, printed, out));
  return Flow::kNext;
}

Result<Flow> If::act(Run& run, Scope& scope, TextBuilder& out) const {
  for (const auto& [condition, body] : branches) {
    DCC_ASSIGN(const Value value, condition->evaluate(run, scope));
    if (truth(value)) return executeAll(body, run, scope, out);
  }
  return executeAll(otherwise, run, scope, out);
}

Result<Flow> For::act(Run& run, Scope& scope, TextBuilder& out) const {
  DCC_ASSIGN(const Value over, iterable->evaluate(run, scope));
  return iterate(run, scope, over, 0, out);
}

Result<Flow> For::iterate(Run& run, Scope& scope, const Value& over, int64_t level,
                          TextBuilder& out) const {
  DCC_ASSIGN(std::vector<Value> values, items(run, over));
  Loop::Filter keep;
  if (filter != nullptr) {
    keep = [&](const Value& value) -> Result<std::optional<Value>> {
      Block block(scope, *filter_frame);
      DCC_RETURN_IF_ERROR(target.assign(run, block.scope(), value));
      DCC_ASSIGN(const Value kept, filter->evaluate(run, block.scope()));
      if (!truth(kept)) return std::optional<Value>();
      return std::optional<Value>(target.read(run, block.scope()));
    };
  }
  Loop::Recursion again;
  if (recursive) {
    again = [&](const Value& others, int64_t deeper) -> Result<Value> {
      TextBuilder text(run);
      DCC_RETURN_IF_ERROR(iterate(run, scope, others, deeper, text));
      return run.string(text.take());
    };
  }
  const auto loop =
      std::make_shared<Loop>(std::move(values), std::move(keep), std::move(again), level);
  Result<Flow> flow = Flow::kNext;
  bool completed = false;  // the body, once
  while (flow.ok() && *flow != Flow::kBreak) {
    const Result<const Value*> value = loop->advance();
    if (!value.ok()) flow = value.error();
    if (!value.ok() || *value == nullptr) break;
    Block block(scope, *body.frame);
    block.scope().set("loop", loop);
    const Status assigned = target.assign(run, block.scope(), **value);
    flow = assigned.ok() ? executeAll(body.statements, run, block.scope(), out)
                         : Result<Flow>(assigned.error());
    completed = completed || (flow.ok() && *flow == Flow::kNext);
  }
  loop->end();  // its functions refer to this frame
  if (!flow.ok()) return flow;
  if (completed || otherwise.frame == nullptr) return Flow::kNext;
  Block block(scope, *otherwise.frame);
  return executeAll(otherwise.statements, run, block.scope(), out);
}

Result<Flow> Set::act(Run& run, Scope& scope, TextBuilder&) const {
  DCC_ASSIGN(const Value assigned, value->evaluate(run, scope));
  DCC_RETURN_IF_ERROR(target.assign(run, scope, assigned));
  return Flow::kNext;
}

Result<Flow> TextBlock::act(Run& run, Scope& scope, TextBuilder& out) const {
  DCC_ASSIGN(std::string text, body.text(run, scope));
  Value value = run.string(std::move(text));
  for (const Applied* filter : filters) {
    DCC_ASSIGN(value, filter->apply(run, scope, value));
  }
  DCC_RETURN_IF_ERROR(assigns ? target.assign(run, scope, value) : addText(run, value, out));
  return Flow::kNext;
}

Result<Flow> With::act(Run& run, Scope& scope, TextBuilder& out) const {
  Block block(scope, *body.frame);
  for (const auto& [name, expression] : variables) {
    DCC_ASSIGN(const Value value, expression->evaluate(run, scope));
    DCC_RETURN_IF_ERROR(name.assign(run, block.scope(), value));
  }
  return executeAll(body.statements, run, block.scope(), out);
}

Result<Flow> MacroDefinition::act(Run& run, Scope& scope, TextBuilder&) const {
  scope.set(signature.name, run.callable(makeMacro(signature, scope)));
  return Flow::kNext;
}

Result<Flow> CallBlock::act(Run& run, Scope& scope, TextBuilder& out) const {
  const Value body = run.callable(makeMacro(caller, scope));
  DCC_ASSIGN(const Value text, call->callWith(run, scope, &body));
  DCC_RETURN_IF_ERROR(addText(run, text, out));
  return Flow::kNext;
}

}  // namespace dcc::jinja
