#include "runtime/text/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "runtime/text/jinja/callable.h"
#include "runtime/text/jinja/loop.h"

namespace dcc::jinja {
namespace {

template <class T, class Data>
T* pointee(const Data& data) {
  const auto* held = std::get_if<std::shared_ptr<T>>(&data);
  return held == nullptr ? nullptr : held->get();
}

// Keys of different classes never are equal; numbers of all types are one class.
int keyClass(const Value& value) {
  double number;
  if (value.isNone()) return 0;
  if (value.number(number)) return 1;
  if (value.isString()) return 2;
  return value.sequence() != nullptr ? 3 : 4;
}

bool numberLess(const Value& a, const Value& b) {
  int64_t scratch_a, scratch_b;
  const int64_t *i = a.integer(scratch_a), *j = b.integer(scratch_b);
  if (i != nullptr && j != nullptr) return *i < *j;
  double x, y;
  a.number(x);
  b.number(y);
  return std::isnan(x) || std::isnan(y) ? std::isnan(x) < std::isnan(y) : x < y;
}

// What has no value to compare is a key as itself.
const void* identity(const Value& value) {
  if (value.callable() != nullptr) return value.callable();
  if (value.loop() != nullptr) return value.loop();
  if (value.generator() != nullptr) return value.generator();
  return value.nameSpace();
}

int depthOver(const std::vector<Value>& items) {
  int deepest = 0;
  for (const Value& item : items) deepest = std::max(deepest, item.depth());
  return deepest + 1;
}

int depthOver(const Dict& dict) {
  int deepest = 0;
  for (const auto& [key, value] : dict.entries()) {
    deepest = std::max({deepest, key.depth(), value.depth()});
  }
  return deepest + 1;
}

}  // namespace

SequenceObject::SequenceObject(SequenceKind kind, std::vector<Value> items, uint64_t* counter)
    : kind(kind),
      items(std::move(items)),
      depth(depthOver(this->items)),
      held(counter, sizeof(*this) + this->items.size() * sizeof(Value)) {}

GeneratorObject::GeneratorObject(std::vector<Value> items, uint64_t* counter)
    : items(std::move(items)),
      depth(depthOver(this->items)),
      held(counter, sizeof(*this) + this->items.size() * sizeof(Value)) {}

DictObject::DictObject(Dict dict, uint64_t* counter)
    : dict(std::move(dict)),
      depth(depthOver(this->dict)),
      held(counter, sizeof(*this) + this->dict.size() * Dict::kEntryBytes) {}

Value Value::undefined(std::string why) {
  Value value;
  value.data_ = Undefined{std::make_shared<const std::string>(std::move(why))};
  return value;
}

const StringObject* Value::string() const { return pointee<const StringObject>(data_); }
const SequenceObject* Value::sequence() const { return pointee<const SequenceObject>(data_); }
GeneratorObject* Value::generator() const { return pointee<GeneratorObject>(data_); }
const DictObject* Value::dict() const { return pointee<const DictObject>(data_); }
const Callable* Value::callable() const { return pointee<const Callable>(data_); }
Loop* Value::loop() const { return pointee<Loop>(data_); }
bool Value::isString() const { return string() != nullptr; }
std::string_view Value::text() const { return string()->bytes; }

const std::string& Value::why() const {
  static const std::string unknown = "an undefined value";
  const auto& held = std::get<Undefined>(data_).why;
  return held ? *held : unknown;
}

Namespace* Value::nameSpace() const {
  const auto* held = std::get_if<Namespace*>(&data_);
  return held == nullptr ? nullptr : *held;
}

const int64_t* Value::integer(int64_t& scratch) const {
  if (const bool* flag = boolean()) {
    scratch = *flag ? 1 : 0;
    return &scratch;
  }
  return std::get_if<int64_t>(&data_);
}

bool Value::number(double& value) const {
  int64_t scratch;
  if (const int64_t* i = integer(scratch)) {
    value = static_cast<double>(*i);
    return true;
  }
  if (floating() == nullptr) return false;
  value = *floating();
  return true;
}

int Value::depth() const {
  if (sequence() != nullptr) return sequence()->depth;
  if (generator() != nullptr) return generator()->depth;
  if (dict() != nullptr) return dict()->depth;
  if (callable() != nullptr) return callable()->depth();
  return loop() != nullptr ? loop()->depth() : 0;
}

bool Value::is(const Value& other) const {
  if (data_.index() != other.data_.index()) return false;
  return std::visit(
      [&](const auto& own) {
        using T = std::decay_t<decltype(own)>;
        if constexpr (std::is_same_v<T, None>) {
          return true;
        } else if constexpr (std::is_same_v<T, Undefined>) {
          return own.why == std::get<T>(other.data_).why;
        } else if constexpr (std::is_same_v<T, std::shared_ptr<const StringObject>>) {
          return text() == other.text();  // Python keeps short ones once
        } else {
          return own == std::get<T>(other.data_);
        }
      },
      data_);
}

bool KeyLess::operator()(const Value& a, const Value& b) const {
  const int class_a = keyClass(a), class_b = keyClass(b);
  if (class_a != class_b) return class_a < class_b;
  switch (class_a) {
    case 0:
      return false;
    case 1:
      return numberLess(a, b);
    case 2:
      return a.text() < b.text();
    case 3:
      return std::lexicographical_compare(a.sequence()->items.begin(), a.sequence()->items.end(),
                                          b.sequence()->items.begin(), b.sequence()->items.end(),
                                          KeyLess());
    default:
      return identity(a) < identity(b);
  }
}

bool KeyLess::operator()(const Value& a, std::string_view b) const {
  return keyClass(a) == 2 ? a.text() < b : keyClass(a) < 2;
}

bool KeyLess::operator()(std::string_view a, const Value& b) const {
  return keyClass(b) == 2 ? a < b.text() : 2 < keyClass(b);
}

const Value* Dict::find(const Value& key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

const Value* Dict::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

void Dict::set(Value key, Value value) {
  const auto [found, added] = index_.emplace(key, entries_.size());
  if (added) {
    entries_.emplace_back(std::move(key), std::move(value));
  } else {
    entries_[found->second].second = std::move(value);
  }
}

std::string_view typeName(const Value& value) {
  int64_t scratch;
  if (value.isUndefined()) return "Undefined";
  if (value.isNone()) return "NoneType";
  if (value.boolean() != nullptr) return "bool";
  if (value.integer(scratch) != nullptr) return "int";
  if (value.floating() != nullptr) return "float";
  if (value.isString()) return value.string()->safe ? "Markup" : "str";
  if (value.dict() != nullptr) return "dict";
  if (value.generator() != nullptr) return "generator";
  if (value.nameSpace() != nullptr) return "Namespace";
  if (value.loop() != nullptr) return "LoopContext";
  if (value.callable() != nullptr) return "function";
  switch (value.sequence()->kind) {
    case SequenceKind::kList:
      return "list";
    case SequenceKind::kTuple:
      return "tuple";
    case SequenceKind::kRange:
      return "range";
    case SequenceKind::kKeys:
      return "dict_keys";
    case SequenceKind::kValues:
      return "dict_values";
    case SequenceKind::kItems:
      return "dict_items";
  }
  return "";
}

std::string objectName(const Value& value) {
  return value.isNone() ? "None" : std::string(typeName(value)) + " object";
}

}  // namespace dcc::jinja
