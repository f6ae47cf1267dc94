#include "runtime/text/jinja/native.h"

#include <algorithm>

#include "runtime/text/jinja/operators.h"
#include "runtime/text/jinja/text.h"

namespace dcc::jinja {
namespace {

std::vector<std::string_view> wordsOf(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

bool isOneOf(std::string_view names, std::string_view name) {
  const std::vector<std::string_view> words = wordsOf(names);
  return std::find(words.begin(), words.end(), name) != words.end();
}

// What else Jinja has.
constexpr std::string_view kMissingFilters =
    "attr filesizeformat forceescape groupby pprint random striptags urlize wordwrap xmlattr";
// What else Python has.
constexpr std::string_view kMissingStringMethods =
    "casefold encode expandtabs format_map isidentifier maketrans swapcase translate";
constexpr std::string_view kMissingNumberMethods =
    "as_integer_ratio bit_count bit_length conjugate denominator from_bytes fromhex hex imag "
    "is_integer numerator real to_bytes";
constexpr std::string_view kMissingViewMethods = "count index isdisjoint mapping start step stop";
constexpr std::string_view kMissingFunctionFields =
    "arguments caller catch_kwargs catch_varargs explicit_caller name";
constexpr std::string_view kUnsafeDictMethods = "clear pop popitem setdefault update";
constexpr std::string_view kUnsafeListMethods =
    "append clear extend insert pop remove reverse sort";

const Native* nativeOf(NativeKind kind, std::string_view name) {
  if (kind == NativeKind::kTest) return findNative(tests(), name);
  for (const auto& filters :
       {textFilters(), sequenceFilters(), selectingFilters(), valueFilters()}) {
    if (const Native* found = findNative(filters, name)) return found;
  }
  return nullptr;
}

// What a function may have to go through.
uint64_t sizeOf(const Value& value) {
  if (value.isString()) return value.text().size() / 32;
  if (value.sequence() != nullptr) return value.sequence()->items.size();
  return value.dict() != nullptr ? value.dict()->dict.size() : 0;
}

}  // namespace

Result<Value> call(Run& run, const Native& native, const Value& self, Arguments arguments) {
  uint64_t size = sizeOf(self);
  for (const Value& value : arguments.positional) size += sizeOf(value);
  for (const auto& [name, value] : arguments.named) size += sizeOf(value);
  run.spend(size);
  DCC_RETURN_IF_ERROR(run.step());
  DCC_ASSIGN(const Bound bound, Bound::bind(native, std::move(arguments)));
  return native.function(run, self, bound);
}

namespace {

class BoundMethod final : public Callable {
 public:
  BoundMethod(Value object, const Native& method) : object_(std::move(object)), method_(method) {}

  Result<Value> call(Run& run, Arguments arguments) const override {
    return jinja::call(run, method_, object_, std::move(arguments));
  }

  int depth() const override { return object_.depth() + 1; }

 private:
  Value object_;
  const Native& method_;
};

}  // namespace

const Native* findNative(std::span<const Native> natives, std::string_view name) {
  const auto found = std::find_if(natives.begin(), natives.end(),
                                  [&](const Native& one) { return one.name == name; });
  return found == natives.end() ? nullptr : &*found;
}

Result<Bound> Bound::bind(const Native& native, Arguments arguments) {
  Bound bound;
  bound.callee_ = native.name;
  if (native.parameters == "*") {
    bound.all_ = std::move(arguments);
    return bound;
  }
  const std::string callee = std::string(native.name) + "()";
  const std::vector<std::string_view> names = wordsOf(native.parameters);
  if (arguments.positional.size() > names.size()) {
    return userError(callee + " takes at most " + std::to_string(names.size()) +
                     " arguments, not " + std::to_string(arguments.positional.size()));
  }
  bound.values_.resize(names.size());
  std::move(arguments.positional.begin(), arguments.positional.end(), bound.values_.begin());
  for (auto& [name, value] : arguments.named) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return userError(callee + " has no argument '" + name + "'");
    std::optional<Value>& place = bound.values_[static_cast<size_t>(found - names.begin())];
    if (place) return userError(callee + " got two values for '" + name + "'");
    place = std::move(value);
  }
  for (size_t i = 0; i < native.required; ++i) {
    if (!bound.values_[i]) {
      return userError(callee + " needs the argument '" + std::string(names[i]) + "'");
    }
  }
  return bound;
}

Result<int64_t> Bound::integer(size_t parameter, int64_t otherwise) const {
  if (!given(parameter)) return otherwise;
  int64_t scratch;
  if (const int64_t* value = values_[parameter]->integer(scratch)) return *value;
  return userError(std::string(callee_) + "() takes an integer, not " +
                   std::string(typeName(*values_[parameter])));
}

Result<std::string_view> Bound::text(size_t parameter, std::string_view otherwise) const {
  if (!given(parameter)) return otherwise;
  if (values_[parameter]->isString()) return values_[parameter]->text();
  return userError(std::string(callee_) + "() takes a string, not " +
                   std::string(typeName(*values_[parameter])));
}

bool Bound::flag(size_t parameter, bool otherwise) const {
  return given(parameter) ? truth(*values_[parameter]) : otherwise;
}

Result<Value> callNative(Run& run, NativeKind kind, std::string_view name, const Value& value,
                         Arguments arguments) {
  const Native* native = nativeOf(kind, name);
  if (native == nullptr) {
    const bool filter = kind == NativeKind::kFilter;
    const std::string what = (filter ? "filter '" : "test '") + std::string(name) + "'";
    if (filter && isOneOf(kMissingFilters, name)) return run.unsupported("the " + what);
    return userError("there is no " + what);
  }
  return call(run, *native, value, std::move(arguments));
}

bool isNative(NativeKind kind, std::string_view name) {
  return nativeOf(kind, name) != nullptr ||
         (kind == NativeKind::kFilter && isOneOf(kMissingFilters, name));
}

Method methodOf(const Value& object, std::string_view name) {
  std::span<const Native> natives;
  std::string_view unsafe, missing;
  double number;
  if (object.isString()) {
    natives = stringMethods();
    missing = kMissingStringMethods;
  } else if (object.dict() != nullptr) {
    natives = dictMethods();
    unsafe = kUnsafeDictMethods;
  } else if (object.number(number)) {
    missing = kMissingNumberMethods;
  } else if (object.callable() != nullptr) {
    missing = kMissingFunctionFields;
  } else if (object.sequence() != nullptr && object.sequence()->kind > SequenceKind::kTuple) {
    missing = kMissingViewMethods;
  } else if (object.sequence() != nullptr) {
    natives = sequenceMethods();
    if (object.sequence()->kind == SequenceKind::kList) unsafe = kUnsafeListMethods;
  }
  if (const Native* native = findNative(natives, name)) return {MethodKind::kNative, native};
  if (isOneOf(unsafe, name) || (name.substr(0, 2) == "__" && !object.isUndefined())) {
    return {MethodKind::kUnsafe, nullptr};
  }
  return {isOneOf(missing, name) ? MethodKind::kMissing : MethodKind::kNone, nullptr};
}

Value boundMethod(Run& run, const Value& object, const Native& method) {
  return run.callable(std::make_shared<BoundMethod>(object, method));
}

}  // namespace dcc::jinja
