#include "runtime/text/jinja/node.h"

#include "runtime/text/jinja/operators.h"

namespace dcc::jinja {
namespace {

// Counts how deep evaluations are in each other.
class Nesting {
 public:
  explicit Nesting(Run& run) : depth_(run.nesting()) {
    if (++depth_ > kDeepestEvaluation) run.exceed("nests calls and blocks too deep");
  }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  ~Nesting() { --depth_; }

 private:
  int& depth_;
};

}  // namespace

Result<Value> Expression::evaluate(Run& run, Scope& scope) const {
  const Nesting nesting(run);
  const Status ready = run.step();
  Result<Value> value = ready.ok() ? compute(run, scope) : Result<Value>(ready.error());
  if (!value.ok()) run.failedAt(line, value.error());
  return value;
}

Result<Flow> Statement::execute(Run& run, Scope& scope, TextBuilder& out) const {
  const Nesting nesting(run);
  const Status ready = run.step();
  Result<Flow> flow = ready.ok() ? act(run, scope, out) : Result<Flow>(ready.error());
  if (!flow.ok()) run.failedAt(line, flow.error());
  return flow;
}

Result<Flow> executeAll(const Statements& statements, Run& run, Scope& scope, TextBuilder& out) {
  for (const Statement* statement : statements) {
    DCC_ASSIGN(const Flow flow, statement->execute(run, scope, out));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

void Frame::settle() {
  std::erase_if(fresh, [&](const std::string& name) {
    for (const Frame* frame = outer; frame != nullptr; frame = frame->outer) {
      if (frame->mentioned.contains(name)) return true;
    }
    return false;
  });
}

void Frame::begin(Scope& scope) const {
  for (const std::string& name : fresh) {
    scope.set(name, Value::undefined("'" + name + "' is undefined"));
  }
}

Block::Block(const Scope& outer, const Frame& frame)
    : scope_(std::make_shared<Scope>(outer.shared_from_this())) {
  frame.begin(*scope_);
}

Result<std::string> Body::text(Run& run, const Scope& outer) const {
  Block block(outer, *frame);
  TextBuilder out(run);
  DCC_RETURN_IF_ERROR(executeAll(statements, run, block.scope(), out));
  return out.take();
}

Result<Arguments> CallArguments::evaluate(Run& run, Scope& scope) const {
  Arguments arguments;
  for (const Expression* argument : positional) {
    DCC_ASSIGN(Value value, argument->evaluate(run, scope));
    arguments.positional.push_back(std::move(value));
  }
  if (more_positional != nullptr) {
    DCC_ASSIGN(const Value several, more_positional->evaluate(run, scope));
    DCC_ASSIGN(std::vector<Value> values, items(run, several));
    for (Value& value : values) arguments.positional.push_back(std::move(value));
  }
  for (const auto& [name, argument] : named) {
    DCC_ASSIGN(Value value, argument->evaluate(run, scope));
    arguments.named.emplace_back(name, std::move(value));
  }
  if (more_named == nullptr) return arguments;
  DCC_ASSIGN(const Value several, more_named->evaluate(run, scope));
  if (several.dict() == nullptr) return userError("argument after ** must be a mapping");
  for (const auto& [key, value] : several.dict()->dict.entries()) {
    DCC_RETURN_IF_ERROR(run.step());
    if (!key.isString()) return userError("keywords must be strings");
    arguments.named.emplace_back(key.text(), value);
  }
  return arguments;
}

Value Target::read(Run& run, const Scope& scope) const {
  if (!is_several) return *scope.find(name);
  std::vector<Value> values;
  for (const Target& one : several) values.push_back(one.read(run, scope));
  return run.tuple(std::move(values));
}

Status Target::assign(Run& run, Scope& scope, const Value& value) const {
  if (is_several) {
    DCC_ASSIGN(const std::vector<Value> values, items(run, value));
    if (values.size() != several.size()) {
      const std::string expected = "values to unpack (expected " + std::to_string(several.size());
      return userError(values.size() > several.size() ? "too many " + expected + ")"
                                                      : "not enough " + expected + ", got " +
                                                            std::to_string(values.size()) + ")");
    }
    for (size_t i = 0; i < values.size(); ++i) {
      DCC_RETURN_IF_ERROR(several[i].assign(run, scope, values[i]));
    }
    return Status::success();
  }
  if (field.empty()) {
    scope.set(name, value);
    return Status::success();
  }
  const Value* found = scope.find(name);
  if (found == nullptr || found->nameSpace() == nullptr) {
    return userError("cannot assign attribute on non-namespace object");
  }
  if (field[0] == '_') {
    return userError("a namespace has no fields that begin with \"_\", as " + field);
  }
  found->nameSpace()->fields.set(run.string(field), value);
  return Status::success();
}

}  // namespace dcc::jinja
