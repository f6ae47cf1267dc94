// Filters that apply another filter, or a test, to every item.
#include "runtime/text/jinja/attributes.h"
#include "runtime/text/jinja/native.h"
#include "runtime/text/jinja/operators.h"

namespace dcc::jinja {
namespace {

Result<Value> mapAttribute(Run& run, const Value& self, const Arguments& arguments) {
  Value attribute, otherwise = None();
  for (const auto& [name, value] : arguments.named) {
    if (name != "attribute" && name != "default") {
      return userError("Unexpected keyword argument '" + name + "'");
    }
    (name == "attribute" ? attribute : otherwise) = value;
  }
  DCC_ASSIGN(std::vector<Value> all, items(run, self));
  for (Value& item : all) {
    DCC_RETURN_IF_ERROR(run.step());
    DCC_ASSIGN(item, path(run, item, attribute));
    if (item.isUndefined() && !otherwise.isNone()) item = otherwise;
  }
  return run.generator(std::move(all));
}

Result<Value> map(Run& run, const Value& self, const Bound& args) {
  Arguments rest = args.all();
  if (!truth(self)) return run.generator({});
  if (rest.positional.empty()) {
    for (const auto& [name, value] : rest.named) {
      if (name == "attribute") return mapAttribute(run, self, rest);
    }
    return userError("map requires a filter argument");
  }
  if (!rest.positional[0].isString()) return userError("map takes the name of a filter");
  const std::string name(rest.positional[0].text());
  rest.positional.erase(rest.positional.begin());
  DCC_ASSIGN(std::vector<Value> all, items(run, self));
  for (Value& item : all) {
    DCC_ASSIGN(item, callNative(run, NativeKind::kFilter, name, item, rest));
  }
  return run.generator(std::move(all));
}

// Keeps the items, or their attribute, for which a test holds or does not.
template <bool kKeep, bool kAttribute>
Result<Value> select(Run& run, const Value& self, const Bound& args) {
  Arguments rest = args.all();
  std::vector<Value>& given = rest.positional;
  if (!truth(self)) return run.generator({});
  Value attribute = None();
  if (kAttribute) {
    if (given.empty()) return userError("Missing parameter for attribute name");
    attribute = given[0];
    given.erase(given.begin());
  }
  const bool tests = !given.empty();
  std::string name;
  if (tests) {
    if (!given[0].isString()) return userError("select takes the name of a test");
    name = given[0].text();
    given.erase(given.begin());
  }
  DCC_ASSIGN(const std::vector<Value> all, items(run, self));
  std::vector<Value> kept;
  for (const Value& item : all) {
    DCC_RETURN_IF_ERROR(run.step());
    DCC_ASSIGN(Value value, path(run, item, attribute));
    if (tests) {
      DCC_ASSIGN(value, callNative(run, NativeKind::kTest, name, value, rest));
    }
    if (truth(value) == kKeep) kept.push_back(item);
  }
  return run.generator(std::move(kept));
}

constexpr Native kFilters[] = {
    {"map", map, "*"},
    {"reject", select<false, false>, "*"},
    {"rejectattr", select<false, true>, "*"},
    {"select", select<true, false>, "*"},
    {"selectattr", select<true, true>, "*"},
};

}  // namespace

std::span<const Native> selectingFilters() { return kFilters; }

}  // namespace dcc::jinja
