// What the variables and expressions of a template are: Python's values, as Jinja sees them.
// Immutable but for namespaces, generators and loops, and cheap to copy.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace dcc::jinja {

class Callable;
class Loop;
class Namespace;
struct DictObject;
struct GeneratorObject;
struct SequenceObject;
struct StringObject;

// What is not there. It prints as nothing, is false and has no items; all else one does with it
// fails with `why`: "'tools' is undefined".
struct Undefined {
  std::shared_ptr<const std::string> why;
};

struct None {};

class Value {
 public:
  Value() = default;  // undefined
  Value(None none) : data_(none) {}
  Value(bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::shared_ptr<const StringObject> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<const SequenceObject> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<GeneratorObject> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<const DictObject> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<const Callable> value) : data_(std::move(value)) {}
  Value(std::shared_ptr<Loop> value) : data_(std::move(value)) {}
  // Belongs to the run.
  Value(Namespace* value) : data_(value) {}
  template <class T>
  Value(T) = delete;  // no conversions: a size_t is no bool

  static Value undefined(std::string why);

  bool isUndefined() const { return std::holds_alternative<Undefined>(data_); }
  bool isNone() const { return std::holds_alternative<None>(data_); }
  bool isString() const;

  // What it is, or null.
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const double* floating() const { return std::get_if<double>(&data_); }
  const StringObject* string() const;
  const SequenceObject* sequence() const;
  GeneratorObject* generator() const;
  const DictObject* dict() const;
  Namespace* nameSpace() const;
  const Callable* callable() const;
  Loop* loop() const;

  // Why something undefined fails; only of that.
  const std::string& why() const;
  // An int or, as in Python, a bool.
  const int64_t* integer(int64_t& scratch) const;
  // Whether it is an int, a bool or a float, and then as a float.
  bool number(double& value) const;
  // The bytes of a string, UTF-8; only of a string.
  std::string_view text() const;

  // 0 for what holds no other values, otherwise one more than the deepest of them.
  int depth() const;
  // The same object, or the same small value: Python's `is`.
  bool is(const Value& other) const;

 private:
  std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const StringObject>,
               std::shared_ptr<const SequenceObject>, std::shared_ptr<GeneratorObject>,
               std::shared_ptr<const DictObject>, std::shared_ptr<const Callable>,
               std::shared_ptr<Loop>, Namespace*>
      data_;
};

// Counts memory for as long as it lives.
class Held {
 public:
  // `counter` may be null, and outlives this.
  Held(uint64_t* counter, uint64_t bytes) : counter_(counter), bytes_(bytes) {
    if (counter_ != nullptr) *counter_ += bytes_;
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() {
    if (counter_ != nullptr) *counter_ -= bytes_;
  }

 private:
  uint64_t* counter_;
  uint64_t bytes_;
};

struct StringObject {
  StringObject(std::string bytes, bool safe, uint64_t* counter)
      : bytes(std::move(bytes)), safe(safe), held(counter, sizeof(*this) + this->bytes.size()) {}

  const std::string bytes;  // UTF-8
  const bool safe;          // went through `safe` or `escape`: Python's Markup
  const Held held;
};

// Kinds differ in what they print and compare as, and in what one may do with them.
enum class SequenceKind { kList, kTuple, kRange, kKeys, kValues, kItems };

struct SequenceObject {
  SequenceObject(SequenceKind kind, std::vector<Value> items, uint64_t* counter);

  const SequenceKind kind;
  const std::vector<Value> items;
  const int depth;
  const Held held;
};

// Items that can be had once, as map, select and reverse give them.
struct GeneratorObject {
  GeneratorObject(std::vector<Value> items, uint64_t* counter);

  std::vector<Value> items;  // those that are left
  const int depth;
  const Held held;
};

// An order of all values that may be keys, in which equal ones (1, 1.0, true) are the same.
struct KeyLess {
  using is_transparent = void;
  bool operator()(const Value& a, const Value& b) const;
  bool operator()(const Value& a, std::string_view b) const;
  bool operator()(std::string_view a, const Value& b) const;
};

// Keys in the order in which they were first set.
class Dict {
 public:
  // Memory of an entry, about: in the vector and in the index.
  static constexpr uint64_t kEntryBytes = 3 * sizeof(Value) + 48;

  // Null: no such key.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(Value key, Value value);
  const std::vector<std::pair<Value, Value>>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }

 private:
  std::vector<std::pair<Value, Value>> entries_;
  std::map<Value, size_t, KeyLess> index_;
};

struct DictObject {
  DictObject(Dict dict, uint64_t* counter);

  const Dict dict;
  const int depth;
  const Held held;
};

// namespace(): the only thing that a template can change.
class Namespace {
 public:
  Dict fields;
};

// "str", "list", "NoneType", ..., as Python calls the type.
std::string_view typeName(const Value& value);
// "dict object", as Jinja speaks of an object in messages.
std::string objectName(const Value& value);

}  // namespace dcc::jinja
