// Filters of lists and whatever else has items.
#include <algorithm>
#include <optional>
#include <set>

#include "runtime/text/jinja/attributes.h"
#include "runtime/text/jinja/characters.h"
#include "runtime/text/jinja/native.h"
#include "runtime/text/jinja/operators.h"
#include "runtime/text/jinja/text.h"

namespace dcc::jinja {
namespace {

Result<Value> list(Run& run, const Value& self, const Bound&) {
  DCC_ASSIGN(std::vector<Value> all, items(run, self));
  return run.list(std::move(all));
}

Result<Value> count(Run&, const Value& self, const Bound&) {
  DCC_ASSIGN(const int64_t n, length(self));
  return Value(n);
}

Result<Value> first(Run& run, const Value& self, const Bound&) {
  const Value none = Value::undefined("No first item, sequence was empty.");
  if (GeneratorObject* generator = self.generator()) {  // the others remain
    if (generator->items.empty()) return none;
    Value value = generator->items.front();
    run.spend(generator->items.size());
    generator->items.erase(generator->items.begin());
    return value;
  }
  DCC_ASSIGN(const std::vector<Value> all, items(run, self));
  return all.empty() ? none : all.front();
}

Result<Value> last(Run& run, const Value& self, const Bound&) {
  if (self.generator() != nullptr) return Error(typeError(self, "is not reversible"));
  DCC_ASSIGN(const std::vector<Value> all, items(run, self));
  return all.empty() ? Value::undefined("No last item, sequence was empty.") : all.back();
}

Result<Value> reverse(Run& run, const Value& self, const Bound&) {
  if (self.isString()) return slice(run, self, None(), None(), Value(int64_t{-1}));
  DCC_ASSIGN(std::vector<Value> all, items(run, self));
  std::reverse(all.begin(), all.end());
  return self.generator() != nullptr ? run.list(std::move(all)) : run.generator(std::move(all));
}

Result<Value> join(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const std::string by, args.given(0) ? toText(run, args[0]) : std::string());
  DCC_ASSIGN(const std::vector<Value> all, items(run, self));
  TextBuilder out(run);
  for (size_t i = 0; i < all.size(); ++i) {
    DCC_RETURN_IF_ERROR(run.step());
    if (i > 0) out.add(by);
    DCC_ASSIGN(const Value part, path(run, all[i], args.has(1) ? args[1] : Value(None())));
    DCC_RETURN_IF_ERROR(addText(run, part, out));
  }
  return run.string(out.take());
}

Result<Value> pairs(Run& run, const Value& self, const Bound&) {
  std::vector<Value> all;
  if (self.isUndefined()) return run.generator({});
  if (self.dict() == nullptr) return userError("Can only get item pairs from a mapping.");
  const auto& entries = self.dict()->dict.entries();
  if (!run.room(entries.size() * sizeof(Value))) return self;
  for (const auto& [key, value] : entries) {
    DCC_RETURN_IF_ERROR(run.step());
    all.push_back(run.tuple({key, value}));
  }
  return run.generator(std::move(all));
}

// What an item is sorted or compared by.
struct Key {
  Value value;
  Value item;
};

Value withoutCase(Run& run, Value value, bool case_sensitive) {
  if (case_sensitive || !value.isString() || !run.room(6 * value.text().size())) return value;
  return run.string(lower(value.text()));
}

Result<Value> keyOf(Run& run, const Value& item, const std::optional<Value>& attribute,
                    bool case_sensitive) {
  DCC_RETURN_IF_ERROR(run.step());
  Value key = item;
  if (attribute) {
    DCC_ASSIGN(key, path(run, item, *attribute));
  }
  return withoutCase(run, std::move(key), case_sensitive);
}

std::optional<Value> attributeOf(const Bound& args, size_t parameter) {
  return args.has(parameter) ? std::optional<Value>(args[parameter]) : std::nullopt;
}

// Stable, also when reversed. Error: keys that have no order.
Status sortBy(Run& run, std::vector<Key>& keys, bool reversed) {
  std::optional<Error> error;
  std::stable_sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    if (error || !run.spend(4)) return false;
    const Result<bool> before =
        reversed ? less(run, b.value, a.value) : less(run, a.value, b.value);
    if (!before.ok()) error = before.error();
    return before.ok() && *before;
  });
  return error ? Status(*error) : Status::success();
}

Value itemsOf(Run& run, std::vector<Key> keys) {
  std::vector<Value> sorted;
  for (Key& key : keys) sorted.push_back(std::move(key.item));
  return run.list(std::move(sorted));
}

// By "age,name": first by one, then by the other.
std::vector<std::optional<Value>> attributesOf(Run& run, const Bound& args, size_t parameter) {
  const std::optional<Value> attribute = attributeOf(args, parameter);
  if (!attribute || !attribute->isString()) return {attribute};
  std::vector<std::optional<Value>> parts;
  for (std::string_view rest = attribute->text();;) {
    const size_t end = std::min(rest.find(','), rest.size());
    if (!run.spend(1)) return parts;
    parts.emplace_back(run.string(std::string(rest.substr(0, end))));
    if (end == rest.size()) return parts;
    rest.remove_prefix(end + 1);
  }
}

Result<Value> sort(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(std::vector<Value> all, items(run, self));
  const std::vector<std::optional<Value>> attributes = attributesOf(run, args, 2);
  std::vector<Key> keys;
  for (Value& item : all) {
    std::vector<Value> parts;
    for (const std::optional<Value>& attribute : attributes) {
      DCC_ASSIGN(Value part, keyOf(run, item, attribute, args.flag(1, false)));
      parts.push_back(std::move(part));
    }
    keys.push_back({run.list(std::move(parts)), std::move(item)});
  }
  DCC_RETURN_IF_ERROR(sortBy(run, keys, args.flag(0, false)));
  return itemsOf(run, std::move(keys));
}

Result<Value> dictsort(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const std::string_view by, args.text(1, "key"));
  if (by != "key" && by != "value") {
    return userError("You can only sort by either \"key\" or \"value\"");
  }
  if (self.dict() == nullptr) return Error(typeError(self, "has no attribute 'items'"));
  std::vector<Key> keys;
  for (const auto& [key, value] : self.dict()->dict.entries()) {
    DCC_RETURN_IF_ERROR(run.step());
    Value sorted_by = withoutCase(run, by == "key" ? key : value, args.flag(0, false));
    keys.push_back({std::move(sorted_by), run.tuple({key, value})});
  }
  DCC_RETURN_IF_ERROR(sortBy(run, keys, args.flag(2, false)));
  return itemsOf(run, std::move(keys));
}

template <bool kLargest>
Result<Value> extreme(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const std::vector<Value> all, items(run, self));
  if (all.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  std::optional<Key> best;
  for (const Value& item : all) {
    DCC_ASSIGN(Value key, keyOf(run, item, attributeOf(args, 1), args.flag(0, false)));
    if (best) {
      DCC_ASSIGN(const bool better,
                 kLargest ? less(run, best->value, key) : less(run, key, best->value));
      if (!better) continue;
    }
    best = Key{std::move(key), item};
  }
  return best->item;
}

Result<Value> unique(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const std::vector<Value> all, items(run, self));
  if (!run.room(all.size() * Dict::kEntryBytes)) return self;
  std::set<Value, KeyLess> seen;
  std::vector<Value> kept;
  for (const Value& item : all) {
    DCC_ASSIGN(Value key, keyOf(run, item, attributeOf(args, 1), args.flag(0, false)));
    DCC_RETURN_IF_ERROR(checkKey(run, key));
    if (seen.insert(std::move(key)).second) kept.push_back(item);
  }
  return run.generator(std::move(kept));
}

Result<Value> sum(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const std::vector<Value> all, items(run, self));
  Value total = args.given(1) ? args[1] : Value(int64_t{0});
  if (total.isString()) return userError("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : all) {
    DCC_RETURN_IF_ERROR(run.step());
    DCC_ASSIGN(const Value part, path(run, item, args.has(0) ? args[0] : Value(None())));
    DCC_ASSIGN(total, binary(run, BinaryOperator::kAdd, total, part));
  }
  return total;
}

Result<Value> batch(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const int64_t size, args.integer(0, 0));
  DCC_ASSIGN(const std::vector<Value> all, items(run, self));
  std::vector<Value> batches, current;
  for (const Value& item : all) {
    DCC_RETURN_IF_ERROR(run.step());
    if (static_cast<int64_t>(current.size()) == size) {
      batches.push_back(run.list(std::exchange(current, {})));
    }
    current.push_back(item);
  }
  if (!current.empty()) {
    if (args.has(1) && size > static_cast<int64_t>(current.size()) &&
        run.room(static_cast<uint64_t>(size) * sizeof(Value))) {
      current.resize(static_cast<size_t>(size), args[1]);
    }
    batches.push_back(run.list(std::move(current)));
  }
  return run.generator(std::move(batches));
}

Result<Value> slices(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const int64_t count, args.integer(0, 0));
  DCC_ASSIGN(const std::vector<Value> all, items(run, self));
  if (count == 0) return userError("integer division or modulo by zero");
  if (count < 0) return run.generator({});
  const size_t n = static_cast<size_t>(count), each = all.size() / n, longer = all.size() % n;
  if (!run.room(n * (sizeof(Value) + sizeof(SequenceObject)))) return self;
  std::vector<Value> parts;
  auto next = all.begin();
  for (size_t i = 0; i < n; ++i) {
    const auto end = next + static_cast<std::ptrdiff_t>(each + (i < longer ? 1 : 0));
    std::vector<Value> part(next, end);
    if (i >= longer && args.has(1)) part.push_back(args[1]);
    parts.push_back(run.list(std::move(part)));
    next = end;
  }
  return run.generator(std::move(parts));
}

constexpr Native kFilters[] = {
    {"batch", batch, "linecount fill_with", 1},
    {"count", count, ""},
    {"dictsort", dictsort, "case_sensitive by reverse"},
    {"first", first, ""},
    {"items", pairs, ""},
    {"join", join, "d attribute"},
    {"last", last, ""},
    {"length", count, ""},
    {"list", list, ""},
    {"max", extreme<true>, "case_sensitive attribute"},
    {"min", extreme<false>, "case_sensitive attribute"},
    {"reverse", reverse, ""},
    {"slice", slices, "slices fill_with", 1},
    {"sort", sort, "reverse case_sensitive attribute"},
    {"sum", sum, "attribute start"},
    {"unique", unique, "case_sensitive attribute"},
};

}  // namespace

std::span<const Native> sequenceFilters() { return kFilters; }

}  // namespace dcc::jinja
