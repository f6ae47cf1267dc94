#include "runtime/text/jinja/scope.h"

namespace dcc::jinja {

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->outer_.get()) {
    const auto found = scope->variables_.find(name);
    if (found != scope->variables_.end()) return &found->second;
  }
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  if (const auto found = variables_.find(name); found != variables_.end()) {
    found->second = std::move(value);
  } else {
    variables_.emplace(name, std::move(value));
  }
}

void Scope::close() {
  closed_ = true;
  variables_.clear();
}

}  // namespace dcc::jinja
