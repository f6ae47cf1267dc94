// Filters, tests, methods and functions that come with Jinja and Python.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/text/jinja/callable.h"
#include "runtime/text/jinja/run.h"
#include "runtime/text/jinja/value.h"

namespace dcc::jinja {

class Bound;
class Scope;

// `self`: what a filter or test is applied to, whose method it is, or undefined.
using NativeFunction = Result<Value> (*)(Run& run, const Value& self, const Bound& arguments);

struct Native {
  std::string_view name;
  NativeFunction function;
  // Names of the parameters, with a space between; "*": any arguments, as they are given.
  std::string_view parameters;
  size_t required = 0;  // the first of them must be given
};

// The arguments of a call by the parameters of the function, and what they are.
class Bound {
 public:
  // Errors: too many or too few arguments, names that the function does not have.
  static Result<Bound> bind(const Native& native, Arguments arguments);

  bool given(size_t parameter) const { return values_[parameter].has_value(); }
  // Whether it is given, and not none.
  bool has(size_t parameter) const { return given(parameter) && !values_[parameter]->isNone(); }
  // Only of what is given.
  const Value& operator[](size_t parameter) const { return *values_[parameter]; }
  // Errors: another type.
  Result<int64_t> integer(size_t parameter, int64_t otherwise) const;
  Result<std::string_view> text(size_t parameter, std::string_view otherwise) const;
  bool flag(size_t parameter, bool otherwise) const;

  // As they stood in the call, of "*".
  const Arguments& all() const { return all_; }

 private:
  std::string_view callee_;
  std::vector<std::optional<Value>> values_;
  Arguments all_;
};

// Binds the arguments and calls it, which takes time for all that it is given.
Result<Value> call(Run& run, const Native& native, const Value& self, Arguments arguments);

enum class NativeKind { kFilter, kTest };

// The filter or test of this name. Errors: there is none; (unsupported) Jinja has it.
Result<Value> callNative(Run& run, NativeKind kind, std::string_view name, const Value& value,
                         Arguments arguments);
// Whether Jinja has a filter or test of this name.
bool isNative(NativeKind kind, std::string_view name);

// What Python has under a name that an object of its type has, and no item.
enum class MethodKind {
  kNone,
  kNative,
  kUnsafe,   // would change the object, which no template may: undefined
  kMissing,  // this engine lacks it
};
struct Method {
  MethodKind kind = MethodKind::kNone;
  const Native* native = nullptr;  // of kNative
};
Method methodOf(const Value& object, std::string_view name);
Value boundMethod(Run& run, const Value& object, const Native& method);

// range, dict, namespace, raise_exception, strftime_now, ...: sets them as variables.
void setGlobals(Run& run, Scope& scope);

std::span<const Native> textFilters();
std::span<const Native> sequenceFilters();
std::span<const Native> selectingFilters();
std::span<const Native> valueFilters();
std::span<const Native> tests();
std::span<const Native> stringMethods();
std::span<const Native> dictMethods();
std::span<const Native> sequenceMethods();

const Native* findNative(std::span<const Native> natives, std::string_view name);

}  // namespace dcc::jinja
