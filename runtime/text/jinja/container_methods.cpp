// Methods of dict, list and tuple.
#include <algorithm>

#include "runtime/text/jinja/native.h"
#include "runtime/text/jinja/operators.h"

namespace dcc::jinja {
namespace {

Result<Value> get(Run& run, const Value& self, const Bound& args) {
  DCC_RETURN_IF_ERROR(checkKey(run, args[0]));
  if (const Value* value = self.dict()->dict.find(args[0])) return *value;
  return args.given(1) ? args[1] : Value(None());
}

template <SequenceKind kKind>
Result<Value> view(Run& run, const Value& self, const Bound&) {
  const auto& entries = self.dict()->dict.entries();
  std::vector<Value> all;
  if (!run.room(entries.size() * sizeof(Value))) return self;
  for (const auto& [key, value] : entries) {
    DCC_RETURN_IF_ERROR(run.step());
    all.push_back(kKind == SequenceKind::kKeys     ? key
                  : kKind == SequenceKind::kValues ? value
                                                   : run.tuple({key, value}));
  }
  return run.sequence(kKind, std::move(all));
}

// Nothing can change it, so it is its own copy.
Result<Value> copy(Run&, const Value& self, const Bound&) { return self; }

Result<Value> fromkeys(Run& run, const Value&, const Bound& args) {
  DCC_ASSIGN(const std::vector<Value> keys, items(run, args[0]));
  Dict dict;
  for (const Value& key : keys) {
    DCC_RETURN_IF_ERROR(checkKey(run, key));
    dict.set(key, args.given(1) ? args[1] : Value(None()));
  }
  return run.dict(std::move(dict));
}

Result<Value> count(Run& run, const Value& self, const Bound& args) {
  const std::vector<Value>& all = self.sequence()->items;
  return Value(static_cast<int64_t>(std::count_if(
      all.begin(), all.end(), [&](const Value& one) { return equal(run, one, args[0]); })));
}

Result<Value> index(Run& run, const Value& self, const Bound& args) {
  const std::vector<Value>& all = self.sequence()->items;
  const auto size = static_cast<int64_t>(all.size());
  DCC_ASSIGN(int64_t begin, args.integer(1, 0));
  DCC_ASSIGN(int64_t end, args.integer(2, size));
  if (begin < 0) begin = std::max<int64_t>(begin + size, 0);
  end = end < 0 ? end + size : std::min(end, size);
  for (int64_t i = begin; i < end; ++i) {
    if (equal(run, all[static_cast<size_t>(i)], args[0])) return Value(i);
  }
  return userError("the item is not in the " + std::string(typeName(self)));
}

constexpr Native kDictMethods[] = {
    {"copy", copy, ""},
    {"fromkeys", fromkeys, "iterable value", 1},
    {"get", get, "key default", 1},
    {"items", view<SequenceKind::kItems>, ""},
    {"keys", view<SequenceKind::kKeys>, ""},
    {"values", view<SequenceKind::kValues>, ""},
};

constexpr Native kSequenceMethods[] = {
    {"copy", copy, ""},
    {"count", count, "value", 1},
    {"index", index, "value start stop", 1},
};

}  // namespace

std::span<const Native> dictMethods() { return kDictMethods; }
std::span<const Native> sequenceMethods() { return kSequenceMethods; }

}  // namespace dcc::jinja
