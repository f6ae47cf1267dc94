#include <cmath>

#include "runtime/base/json.h"

namespace dcc {

using nlohmann::json;

namespace {

constexpr size_t kLongestShown = 60;

// A value as it may stand in a one-line message.
std::string shown(const json& value) {
  if (value.is_structured()) return std::string(jsonTypeName(value));
  std::string text = value.dump();
  if (text.size() > kLongestShown) text = std::string(jsonTypeName(value));
  return text;
}

// The value as an integer if it is one exactly: 8192 and 8192.0 are the same number in JSON.
std::optional<int64_t> exactInteger(const json& value) {
  if (value.is_number_unsigned()) {
    uint64_t n = value.get<uint64_t>();
    if (n > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<int64_t>(n);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) {
    double n = value.get<double>();
    if (std::trunc(n) == n && std::fabs(n) <= 0x1p53) return static_cast<int64_t>(n);
  }
  return std::nullopt;
}

std::string range(int64_t least, int64_t most) {
  std::string text = "an integer";
  if (least != INT64_MIN) text += " from " + std::to_string(least);
  if (most != INT64_MAX) text += " up to " + std::to_string(most);
  return text;
}

}  // namespace

std::string_view jsonTypeName(const json& value) {
  switch (value.type()) {
    case json::value_t::null:
      return "null";
    case json::value_t::object:
      return "an object";
    case json::value_t::array:
      return "an array";
    case json::value_t::string:
      return "a string";
    case json::value_t::boolean:
      return "a boolean";
    default:
      return "a number";
  }
}

Result<JsonFields> JsonFields::of(const json& value, std::string where) {
  if (!value.is_object()) {
    return userError(where + ": is " + shown(value) + "; an object is expected");
  }
  return JsonFields(&value, std::move(where));
}

const json* JsonFields::find(std::string_view key) const {
  auto field = value_->find(key);
  return field == value_->end() || field->is_null() ? nullptr : &*field;
}

Error JsonFields::error(std::string_view key, std::string_view what) const {
  return userError(where_ + ": " + std::string(key) + ": " + std::string(what));
}

Error JsonFields::wrongType(std::string_view key, std::string_view expected) const {
  return error(key, "is " + shown(*find(key)) + "; " + std::string(expected) + " is expected");
}

Error JsonFields::missing(std::string_view key, std::string_view expected) const {
  return error(key, "is missing; " + std::string(expected) + " is expected");
}

Result<int64_t> JsonFields::integer(std::string_view key, int64_t least, int64_t most) const {
  const json* value = find(key);
  if (!value) return missing(key, range(least, most));
  std::optional<int64_t> n = exactInteger(*value);
  if (!n || *n < least || *n > most) return wrongType(key, range(least, most));
  return *n;
}

Result<double> JsonFields::number(std::string_view key) const {
  const json* value = find(key);
  if (!value) return missing(key, "a number");
  if (!value->is_number()) return wrongType(key, "a number");
  return value->get<double>();
}

Result<bool> JsonFields::boolean(std::string_view key) const {
  const json* value = find(key);
  if (!value) return missing(key, "true or false");
  if (!value->is_boolean()) return wrongType(key, "true or false");
  return value->get<bool>();
}

Result<std::string> JsonFields::string(std::string_view key) const {
  const json* value = find(key);
  if (!value) return missing(key, "a string");
  if (!value->is_string()) return wrongType(key, "a string");
  return value->get<std::string>();
}

Result<JsonFields> JsonFields::object(std::string_view key) const {
  const json* value = find(key);
  if (!value) return missing(key, "an object");
  if (!value->is_object()) return wrongType(key, "an object");
  return JsonFields(value, where_ + ": " + std::string(key));
}

Result<const json*> JsonFields::array(std::string_view key) const {
  const json* value = find(key);
  if (!value) return missing(key, "an array");
  if (!value->is_array()) return wrongType(key, "an array");
  return value;
}

Result<int64_t> JsonFields::integerOr(std::string_view key, int64_t otherwise, int64_t least,
                                      int64_t most) const {
  if (!has(key)) return otherwise;
  return integer(key, least, most);
}

Result<double> JsonFields::numberOr(std::string_view key, double otherwise) const {
  if (!has(key)) return otherwise;
  return number(key);
}

Result<bool> JsonFields::booleanOr(std::string_view key, bool otherwise) const {
  if (!has(key)) return otherwise;
  return boolean(key);
}

Result<std::string> JsonFields::stringOr(std::string_view key, std::string otherwise) const {
  if (!has(key)) return otherwise;
  return string(key);
}

}  // namespace dcc
