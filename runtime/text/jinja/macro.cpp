#include "runtime/text/jinja/macro.h"

#include <algorithm>
#include <optional>

namespace dcc::jinja {
namespace {

class Macro final : public Callable {
 public:
  Macro(const Signature& signature, std::shared_ptr<Scope> scope)
      : signature_(signature), scope_(std::move(scope)) {}

  Result<Value> call(Run& run, Arguments arguments) const override {
    if (scope_->closed()) {
      return run.unsupported("calling " + name() + " after the block that defines it");
    }
    Block block(*scope_, *signature_.body.frame);
    DCC_RETURN_IF_ERROR(bind(run, block.scope(), std::move(arguments)));
    TextBuilder out(run);
    DCC_RETURN_IF_ERROR(executeAll(signature_.body.statements, run, block.scope(), out));
    return run.string(out.take());
  }

 private:
  std::string name() const {
    return signature_.name.empty() ? "the body of a call" : "macro '" + signature_.name + "'";
  }

  static std::optional<Value> take(Arguments& arguments, std::string_view name) {
    const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& one) { return one.first == name; });
    if (found == arguments.named.end()) return std::nullopt;
    Value value = std::move(found->second);
    arguments.named.erase(found);
    return value;
  }

  Status bind(Run& run, Scope& scope, Arguments arguments) const {
    const auto& parameters = signature_.parameters;
    std::vector<Value>& positional = arguments.positional;
    bool caller_is_parameter = false;
    for (size_t i = 0; i < parameters.size(); ++i) {
      run.spend(arguments.named.size());
      DCC_RETURN_IF_ERROR(run.step());
      const auto& [parameter, otherwise] = parameters[i];
      caller_is_parameter = caller_is_parameter || parameter == "caller";
      std::optional<Value> value;
      if (i < positional.size()) {
        value = positional[i];
      } else {
        value = take(arguments, parameter);
      }
      if (!value && otherwise != nullptr) {
        DCC_ASSIGN(value, otherwise->evaluate(run, scope));
      }
      scope.set(parameter,
                value.value_or(Value::undefined("parameter '" + parameter + "' was not provided")));
    }
    if (signature_.uses_caller && !caller_is_parameter) {
      scope.set("caller",
                take(arguments, "caller").value_or(Value::undefined("No caller defined")));
    }
    return bindRest(run, scope, arguments);
  }

  Status bindRest(Run& run, Scope& scope, Arguments& arguments) const {
    std::vector<Value>& positional = arguments.positional;
    const size_t named_here = std::min(signature_.parameters.size(), positional.size());
    if (signature_.uses_kwargs) {
      Dict rest;
      for (auto& [key, value] : arguments.named) rest.set(run.string(key), std::move(value));
      scope.set("kwargs", run.dict(std::move(rest)));
    } else if (!arguments.named.empty()) {
      return userError(name() + " takes no keyword argument '" + arguments.named[0].first + "'");
    }
    if (signature_.uses_varargs) {
      positional.erase(positional.begin(), positional.begin() + named_here);
      scope.set("varargs", run.tuple(std::move(positional)));
    } else if (positional.size() > signature_.parameters.size()) {
      return userError(name() + " takes not more than " +
                       std::to_string(signature_.parameters.size()) + " argument(s)");
    }
    return Status::success();
  }

  const Signature& signature_;
  std::shared_ptr<Scope> scope_;
};

}  // namespace

std::shared_ptr<const Callable> makeMacro(const Signature& signature, Scope& scope) {
  return std::make_shared<Macro>(signature, scope.shared_from_this());
}

}  // namespace dcc::jinja
