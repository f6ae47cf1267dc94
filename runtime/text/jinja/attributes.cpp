#include "runtime/text/jinja/attributes.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "runtime/base/printable.h"
#include "runtime/text/jinja/loop.h"
#include "runtime/text/jinja/native.h"
#include "runtime/text/jinja/operators.h"
#include "runtime/text/jinja/text.h"
#include "runtime/text/utf8.h"

namespace dcc::jinja {
namespace {

Value noAttribute(const Value& object, std::string_view name) {
  return Value::undefined("'" + objectName(object) + "' has no attribute '" + printable(name) +
                          "'");
}

// What Python's getattr() gives; nothing: AttributeError.
Result<std::optional<Value>> ownAttribute(Run& run, const Value& object, std::string_view name) {
  using Found = std::optional<Value>;
  if (object.nameSpace() != nullptr) {
    const Value* field = object.nameSpace()->fields.find(name);
    return field != nullptr ? Found(*field) : Found();
  }
  if (object.loop() != nullptr) return object.loop()->field(run, name);
  const Method method = methodOf(object, name);
  switch (method.kind) {
    case MethodKind::kNone:
      break;
    case MethodKind::kNative:
      return Found(boundMethod(run, object, *method.native));
    case MethodKind::kUnsafe:
      return Found(Value::undefined("access to attribute '" + std::string(name) + "' of '" +
                                    std::string(typeName(object)) + "' object is unsafe."));
    case MethodKind::kMissing:
      return run.unsupported("'" + std::string(name) + "' of a " + std::string(typeName(object)));
  }
  return Found();
}

// What Python's object[key] gives; nothing: an error that Jinja takes for "not there".
Result<std::optional<Value>> ownItem(Run& run, const Value& object, const Value& key) {
  using Found = std::optional<Value>;
  if (object.dict() != nullptr) {
    if (!checkKey(run, key).ok()) return Found();
    const Value* value = object.dict()->dict.find(key);
    return value != nullptr ? Found(*value) : Found();
  }
  int64_t scratch;
  const int64_t* index = key.integer(scratch);
  if (index == nullptr) return Found();
  const SequenceObject* sequence = object.sequence();
  if (sequence != nullptr && sequence->kind <= SequenceKind::kRange) {
    const auto size = static_cast<int64_t>(sequence->items.size());
    const int64_t at = *index < 0 ? *index + size : *index;
    return at >= 0 && at < size ? Found(sequence->items[static_cast<size_t>(at)]) : Found();
  }
  if (!object.isString()) return Found();
  const std::string_view text = object.text();
  run.spend(text.size() / 32);
  const int64_t at = *index < 0 ? *index + static_cast<int64_t>(text::countChars(text)) : *index;
  const size_t begin = at < 0 ? text.size() : byteOffset(text, at);
  if (begin == text.size()) return Found();
  const size_t length = text::utf8Length(static_cast<unsigned char>(text[begin]));
  return Found(run.string(std::string(text.substr(begin, length)), object.string()->safe));
}

// Positions of object[begin:end:step] in something of this size, as Python's slice.indices().
struct Range {
  int64_t begin, end, step;
};

std::optional<int64_t> bound(const Value& value, int64_t size, int64_t least, int64_t most,
                             int64_t otherwise) {
  if (value.isNone()) return otherwise;
  int64_t scratch;
  const int64_t* index = value.integer(scratch);
  if (index == nullptr) return std::nullopt;
  return std::clamp(*index < 0 ? *index + size : *index, least, most);
}

std::optional<Range> rangeOf(int64_t size, const Value& begin, const Value& end, int64_t step) {
  const int64_t least = step < 0 ? -1 : 0, most = step < 0 ? size - 1 : size;
  const auto from = bound(begin, size, least, most, step < 0 ? most : least);
  const auto to = bound(end, size, least, most, step < 0 ? least : most);
  if (!from || !to) return std::nullopt;
  return Range{*from, *to, step};
}

Value sliceText(Run& run, const Value& object, const Range& range) {
  const std::string_view text = object.text();
  std::string out;
  if (range.step == 1) {
    const size_t begin = byteOffset(text, range.begin);
    const std::string_view rest = text.substr(begin);
    out = rest.substr(0, byteOffset(rest, range.end - range.begin));
  } else {
    std::vector<size_t> starts;
    if (!run.room(text.size() * sizeof(size_t))) return object;
    for (size_t at = 0; at < text.size();) {
      starts.push_back(at);
      at += text::utf8Length(static_cast<unsigned char>(text[at]));
    }
    for (int64_t i = range.begin; range.step < 0 ? i > range.end : i < range.end; i += range.step) {
      const size_t at = starts[static_cast<size_t>(i)];
      out += text.substr(at, text::utf8Length(static_cast<unsigned char>(text[at])));
    }
  }
  run.spend(text.size() / 32);
  return run.string(std::move(out), object.string()->safe);
}

}  // namespace

Result<Value> attribute(Run& run, const Value& object, std::string_view name) {
  if (object.isUndefined()) return userError(object.why());
  DCC_ASSIGN(const std::optional<Value> own, ownAttribute(run, object, name));
  if (own) return *own;
  if (object.dict() != nullptr) {
    if (const Value* value = object.dict()->dict.find(name)) return *value;
  }
  return noAttribute(object, name);
}

Result<Value> item(Run& run, const Value& object, const Value& key) {
  if (object.isUndefined()) return userError(object.why());
  DCC_ASSIGN(const std::optional<Value> own, ownItem(run, object, key));
  if (own) return *own;
  if (key.isString()) {
    DCC_ASSIGN(const std::optional<Value> field, ownAttribute(run, object, key.text()));
    return field ? *field : noAttribute(object, key.text());
  }
  int64_t scratch;
  const int64_t* index = key.integer(scratch);
  return Value::undefined(
      objectName(object) + " has no element " +
      (index != nullptr ? std::to_string(*index) : "of a " + std::string(typeName(key))));
}

Result<Value> slice(Run& run, const Value& object, const Value& begin, const Value& end,
                    const Value& step) {
  if (object.isUndefined()) return userError(object.why());
  const SequenceObject* sequence = object.sequence();
  const bool can =
      object.isString() || (sequence != nullptr && sequence->kind <= SequenceKind::kRange);
  if (!can) return Error(typeError(object, "has no slices"));
  const Error wrong = userError("slice indices must be integers or None");
  int64_t by = 1, scratch;
  const int64_t* given = step.integer(scratch);
  if (given == nullptr && !step.isNone()) return wrong;
  if (given != nullptr) by = *given;
  if (by == 0) return userError("slice step cannot be zero");
  const auto size = object.isString() ? static_cast<int64_t>(text::countChars(object.text()))
                                      : static_cast<int64_t>(sequence->items.size());
  by = std::clamp(by, -size - 1, size + 1);  // as far as it goes, and no overflow
  const std::optional<Range> range = rangeOf(size, begin, end, by);
  if (!range) return wrong;
  if (object.isString()) return sliceText(run, object, *range);
  std::vector<Value> items;
  if (run.room(static_cast<uint64_t>(size) * sizeof(Value))) {
    for (int64_t i = range->begin; by < 0 ? i > range->end : i < range->end; i += by) {
      items.push_back(sequence->items[static_cast<size_t>(i)]);
    }
  }
  return run.sequence(sequence->kind, std::move(items));
}

Result<Value> path(Run& run, Value object, const Value& path) {
  if (path.isNone()) return object;
  if (!path.isString()) return item(run, object, path);
  std::string_view rest = path.text();
  while (true) {
    const size_t end = std::min(rest.find('.'), rest.size());
    const std::string_view part = rest.substr(0, end);
    int64_t index = 0;
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == part.npos &&
                        std::from_chars(part.data(), part.data() + end, index).ec == std::errc();
    DCC_ASSIGN(object, item(run, object, number ? Value(index) : run.string(std::string(part))));
    if (end == rest.size()) return object;
    rest.remove_prefix(end + 1);
  }
}

}  // namespace dcc::jinja
