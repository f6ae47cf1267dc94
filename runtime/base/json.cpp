#include "runtime/base/json.h"

#include <cmath>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "runtime/base/file.h"

namespace dcc {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Iterates over text and tells a shared counter how far the lexer has come, which is the only way
// to learn the position of an event from nlohmann's SAX parser.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// Builds the value, a json or ordered_json, refusing duplicate keys and deep nesting. Every
// callback returns whether to go on.
template <class Json>
class Builder {
  static constexpr bool kOrdered = std::is_same_v<Json, ordered_json>;

 public:
  Builder(std::string_view text, const char** read, const JsonLimits& limits)
      : text_(text), read_(read), limits_(limits) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(int64_t value) { return add(value); }
  bool number_unsigned(uint64_t value) { return add(value); }
  bool number_float(double value, const std::string& text) {
    if (kOrdered && text.find_first_of(".eE") == text.npos) {
      return fail(consumed() - 1, "an integer of more than 64 bits");
    }
    return add(value);
  }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(typename Json::binary_t&) { return false; }  // never called for text

  bool start_object(size_t) { return open(Json::object()); }
  bool start_array(size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& key) {
    auto& object = open_.back()->template get_ref<typename Json::object_t&>();
    bool added;
    if constexpr (kOrdered) {
      // Its own emplace() looks through all fields each time.
      added = keys_.back().insert(key).second;
      if (added) field_ = &object.emplace_back(key, nullptr).second;
    } else {
      const auto [field, is_new] = object.emplace(key, nullptr);
      added = is_new;
      field_ = &field->second;
    }
    if (added) return true;
    return fail(consumed() - 1, "the key " + json(key).dump() + " stands twice in one object");
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ... - WHAT"
    std::string_view what = error.what();
    if (size_t colon = what.find(": "); colon != what.npos)
      what.remove_prefix(colon + 2);
    else if (size_t bracket = what.find("] "); bracket != what.npos)
      what.remove_prefix(bracket + 2);
    return fail(position == 0 ? 0 : position - 1, std::string(what));
  }

  Json take() { return std::move(root_); }
  size_t errorOffset() const { return error_offset_; }
  const std::string& errorText() const { return error_text_; }

 private:
  template <class T>
  bool add(T&& value) {
    if (++values_ > limits_.values) return tooMany();
    place() = std::forward<T>(value);
    return true;
  }

  bool open(Json container) {
    if (open_.size() >= static_cast<size_t>(limits_.depth)) {
      return fail(consumed() - 1,
                  "nested deeper than " + std::to_string(limits_.depth) + " levels");
    }
    if (++values_ > limits_.values) return tooMany();
    Json& placed = place();
    placed = std::move(container);
    open_.push_back(&placed);
    if (kOrdered) keys_.emplace_back();
    return true;
  }

  bool close() {
    open_.pop_back();
    if (kOrdered) keys_.pop_back();
    return true;
  }

  // Where the next value goes. Only the innermost open array grows, so the addresses in open_ hold.
  Json& place() {
    if (open_.empty()) return root_;
    if (open_.back()->is_object()) return *field_;
    return open_.back()->template get_ref<typename Json::array_t&>().emplace_back(nullptr);
  }

  bool tooMany() {
    return fail(consumed() - 1, "more than " + std::to_string(limits_.values) + " values");
  }

  size_t consumed() const { return static_cast<size_t>(*read_ - text_.data()); }

  bool fail(size_t offset, std::string what) {
    error_offset_ = offset;
    error_text_ = std::move(what);
    return false;
  }

  std::string_view text_;
  const char** read_;
  const JsonLimits& limits_;
  uint64_t values_ = 0;
  Json root_;
  std::vector<Json*> open_;
  std::vector<std::unordered_set<std::string>> keys_;  // of the open containers, of ordered ones
  Json* field_ = nullptr;
  size_t error_offset_ = 0;
  std::string error_text_;
};

}  // namespace

TextPosition textPosition(std::string_view text, size_t offset) {
  TextPosition position{1, 1};
  for (char c : text.substr(0, offset)) {
    ++position.column;
    if (c == '\n') position = {position.line + 1, 1};
  }
  return position;
}

namespace {

template <class Json>
Result<Json> parse(std::string_view text, const std::string& name, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    return userError(name + ": has " + std::to_string(text.size()) + " bytes; at most " +
                     std::to_string(limits.bytes) + " are expected");
  }
  // nlohmann's lexer takes a NUL for the end of its input and would ignore what follows.
  if (size_t nul = text.find('\0'); nul != text.npos) {
    TextPosition at = textPosition(text, nul);
    return userError(name + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) +
                     ": a NUL byte; JSON text is expected");
  }
  const char* read = text.data();
  Builder<Json> builder(text, &read, limits);
  const char* end = text.data() + text.size();
  bool ok =
      Json::sax_parse(CountingIterator(text.data(), &read), CountingIterator(end, &read), &builder);
  if (!ok) {
    TextPosition at = textPosition(text, builder.errorOffset());
    return userError(name + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " +
                     builder.errorText());
  }
  return builder.take();
}

}  // namespace

Result<json> parseJson(std::string_view text, const std::string& name, const JsonLimits& limits) {
  return parse<json>(text, name, limits);
}

Result<ordered_json> parseOrderedJson(std::string_view text, const std::string& name,
                                      const JsonLimits& limits) {
  return parse<ordered_json>(text, name, limits);
}

Result<json> readJson(const std::string& path, const JsonLimits& limits) {
  DCC_ASSIGN(std::string text, readFile(path, limits.bytes));
  return parseJson(text, path, limits);
}

}  // namespace dcc
