#include <algorithm>
#include <cmath>

#include "runtime/text/jinja/operators.h"
#include "runtime/text/jinja/text.h"
#include "runtime/text/utf8.h"

namespace dcc::jinja {
namespace {

bool equalDicts(Run& run, const Dict& a, const Dict& b) {
  if (a.size() != b.size()) return false;
  return std::all_of(a.entries().begin(), a.entries().end(), [&](const auto& entry) {
    const Value* other = b.find(entry.first);
    return other != nullptr && equal(run, entry.second, *other);
  });
}

// Keys and items of a dict are sets, the values of two are never equal.
bool equalViews(Run& run, const SequenceObject& a, const SequenceObject& b) {
  if (a.kind == SequenceKind::kValues || a.items.size() != b.items.size()) return false;
  return std::all_of(a.items.begin(), a.items.end(), [&](const Value& item) {
    return std::any_of(b.items.begin(), b.items.end(),
                       [&](const Value& other) { return equal(run, item, other); });
  });
}

// The order of two numbers: -1, 0, 1, or 2 where one is not a number.
int numberOrder(const Value& a, const Value& b) {
  int64_t scratch_a, scratch_b;
  const int64_t *i = a.integer(scratch_a), *j = b.integer(scratch_b);
  if (i != nullptr && j != nullptr) return *i < *j ? -1 : *i > *j;
  double x, y;
  a.number(x);
  b.number(y);
  if (std::isnan(x) || std::isnan(y)) return 2;
  return x < y ? -1 : x > y;
}

Error noOrder(const char* sign, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b}) {
    if (value->isUndefined()) return userError(value->why());
  }
  std::string left(typeName(a)), right(typeName(b));
  if (sign[0] == '>') std::swap(left, right);  // "a > b" is asked as "b < a"
  return userError("'" + std::string(sign) + "' not supported between instances of '" + left +
                   "' and '" + right + "'");
}

// a < b, or where `or_equal` a <= b; `sign` is what the template says.
Result<bool> ordered(Run& run, const char* sign, const Value& a, const Value& b, bool or_equal) {
  double number;
  if (a.number(number) && b.number(number)) {
    const int order = numberOrder(a, b);
    return order == -1 || (or_equal && order == 0);
  }
  if (a.isString() && b.isString()) {
    run.spend(std::min(a.text().size(), b.text().size()) / 64);
    return or_equal ? a.text() <= b.text() : a.text() < b.text();
  }
  const SequenceObject *first = a.sequence(), *second = b.sequence();
  const bool both = first != nullptr && second != nullptr && first->kind == second->kind &&
                    (first->kind == SequenceKind::kList || first->kind == SequenceKind::kTuple);
  if (!both) return noOrder(sign, a, b);
  const size_t common = std::min(first->items.size(), second->items.size());
  for (size_t i = 0; i < common; ++i) {
    if (equal(run, first->items[i], second->items[i])) continue;
    if (!run.spend(1)) break;
    return ordered(run, sign, first->items[i], second->items[i], or_equal);
  }
  return or_equal ? first->items.size() <= second->items.size()
                  : first->items.size() < second->items.size();
}

}  // namespace

bool equal(Run& run, const Value& a, const Value& b) {
  if (!run.spend(1)) return false;
  double number;
  if (a.number(number) && b.number(number)) return numberOrder(a, b) == 0;
  if (a.isString() && b.isString()) {
    if (a.text().size() == b.text().size()) run.spend(a.text().size() / 64);
    return a.text() == b.text();
  }
  if (a.sequence() != nullptr && b.sequence() != nullptr) {
    const SequenceObject &first = *a.sequence(), &second = *b.sequence();
    if (&first == &second) return true;
    const auto view = [](SequenceKind kind) { return kind >= SequenceKind::kKeys; };
    if (view(first.kind) && view(second.kind)) return equalViews(run, first, second);
    return first.kind == second.kind && first.items.size() == second.items.size() &&
           std::equal(first.items.begin(), first.items.end(), second.items.begin(),
                      [&](const Value& x, const Value& y) { return equal(run, x, y); });
  }
  if (a.dict() != nullptr && b.dict() != nullptr) {
    return a.dict() == b.dict() || equalDicts(run, a.dict()->dict, b.dict()->dict);
  }
  return (a.isUndefined() && b.isUndefined()) || a.is(b);
}

Result<bool> less(Run& run, const Value& a, const Value& b) {
  return ordered(run, "<", a, b, false);
}

Result<bool> contains(Run& run, const Value& container, const Value& item) {
  if (container.isString()) {
    if (!item.isString()) {
      return userError("'in <string>' requires string as left operand, not " +
                       std::string(typeName(item)));
    }
    return find(run, container.text(), item.text()) != std::string_view::npos;
  }
  if (container.dict() != nullptr) {
    DCC_RETURN_IF_ERROR(checkKey(run, item));
    return container.dict()->dict.find(item) != nullptr;
  }
  if (container.isUndefined()) return false;
  if (container.sequence() == nullptr && container.generator() == nullptr) {
    return Error(typeError(container, "is not a container or iterable"));
  }
  DCC_ASSIGN(const std::vector<Value> all, items(run, container));
  return std::any_of(all.begin(), all.end(),
                     [&](const Value& one) { return one.is(item) || equal(run, one, item); });
}

Result<bool> compare(Run& run, Comparison op, const Value& a, const Value& b) {
  switch (op) {
    case Comparison::kEq:
      return equal(run, a, b);
    case Comparison::kNe:
      return !equal(run, a, b);
    case Comparison::kLt:
      return ordered(run, "<", a, b, false);
    case Comparison::kLe:
      return ordered(run, "<=", a, b, true);
    case Comparison::kGt:
      return ordered(run, ">", b, a, false);
    case Comparison::kGe:
      return ordered(run, ">=", b, a, true);
    case Comparison::kIn:
      return contains(run, b, a);
    case Comparison::kNotIn:
      break;
  }
  DCC_ASSIGN(const bool within, contains(run, b, a));
  return !within;
}

Status checkKey(Run& run, const Value& key) {
  const SequenceObject* sequence = key.sequence();
  if (key.dict() != nullptr || (sequence != nullptr && sequence->kind != SequenceKind::kTuple &&
                                sequence->kind != SequenceKind::kRange)) {
    return userError("unhashable type: '" + std::string(typeName(key)) + "'");
  }
  run.spend(1);
  if (sequence == nullptr) return Status::success();
  for (const Value& item : sequence->items) {
    DCC_RETURN_IF_ERROR(run.step());  // a tuple may hold another many times, and that others
    DCC_RETURN_IF_ERROR(checkKey(run, item));
  }
  return Status::success();
}

Result<std::vector<Value>> items(Run& run, const Value& value) {
  std::vector<Value> all;
  if (value.isUndefined()) return all;
  if (GeneratorObject* generator = value.generator()) {
    all = std::move(generator->items);
    generator->items.clear();
  } else if (value.sequence() != nullptr) {
    if (run.room(value.sequence()->items.size() * sizeof(Value))) all = value.sequence()->items;
  } else if (value.dict() != nullptr) {
    if (!run.room(value.dict()->dict.size() * sizeof(Value))) return all;
    for (const auto& [key, unused] : value.dict()->dict.entries()) all.push_back(key);
  } else if (value.isString()) {
    const std::string_view text = value.text();
    // A character takes more memory than its bytes.
    if (!run.room(text.size() * (sizeof(Value) + sizeof(StringObject)))) return all;
    for (size_t at = 0; at < text.size();) {
      const size_t length = text::utf8Length(static_cast<unsigned char>(text[at]));
      all.push_back(run.string(std::string(text.substr(at, length))));
      at += length;
    }
  } else {
    return Error(typeError(value, "is not iterable"));
  }
  run.spend(all.size());
  return all;
}

Result<int64_t> length(const Value& value) {
  if (value.isUndefined()) return int64_t{0};
  if (value.isString()) return static_cast<int64_t>(text::countChars(value.text()));
  if (value.sequence() != nullptr) return static_cast<int64_t>(value.sequence()->items.size());
  if (value.dict() != nullptr) return static_cast<int64_t>(value.dict()->dict.size());
  return Error(userError("object of type '" + std::string(typeName(value)) + "' has no len()"));
}

}  // namespace dcc::jinja
