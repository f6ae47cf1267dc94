// A macro, or the body of {% call %}, as a function.
#pragma once

#include <memory>

#include "runtime/text/jinja/callable.h"
#include "runtime/text/jinja/scope.h"
#include "runtime/text/jinja/statements.h"

namespace dcc::jinja {

// Sees the variables of `scope`, in which it is defined. `signature` outlives it.
std::shared_ptr<const Callable> makeMacro(const Signature& signature, Scope& scope);

}  // namespace dcc::jinja
