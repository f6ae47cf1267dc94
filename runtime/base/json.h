// JSON from files we do not trust: bounded, without exceptions, with messages that say where.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace dcc {

struct JsonLimits {
  int depth = 64;                // of nested arrays and objects
  uint64_t bytes = 64ull << 20;  // of text
  uint64_t values = 8'000'000;   // a value takes up to 160 bytes of memory, but 2 of text
};

// Strict JSON (RFC 8259), UTF-8, one value, object keys unique. Errors (user) begin with
// "<name>:<line>:<column>: ", both counted from 1, columns in bytes.
Result<nlohmann::json> parseJson(std::string_view text, const std::string& name,
                                 const JsonLimits& limits = {});

// The same with keys in the order of the text, for what shows them again. Errors: also an integer
// that 64 bits don't hold, which would become a float.
Result<nlohmann::ordered_json> parseOrderedJson(std::string_view text, const std::string& name,
                                                const JsonLimits& limits = {});

// The first from a file; `path` is the name in errors.
Result<nlohmann::json> readJson(const std::string& path, const JsonLimits& limits = {});

// Line and column, from 1, of a byte of the text.
struct TextPosition {
  size_t line, column;
};
TextPosition textPosition(std::string_view text, size_t offset);

// "a string", "an object", ... for messages.
std::string_view jsonTypeName(const nlohmann::json& value);

// Typed access to the fields of an object. Every error names the file and the field:
// "config.json: hidden_size: is \"big\"; an integer from 1 is expected". A field that is null
// counts as absent, as in Hugging Face's files. Refers to the json value, which must outlive it.
class JsonFields {
 public:
  // Error when `value` is no object. `where` begins every message.
  static Result<JsonFields> of(const nlohmann::json& value, std::string where);

  const std::string& where() const { return where_; }
  const nlohmann::json& value() const { return *value_; }
  // The field's value; null when it is absent or null.
  const nlohmann::json* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }

  // A field that must be there, ...
  Result<int64_t> integer(std::string_view key, int64_t least = INT64_MIN,
                          int64_t most = INT64_MAX) const;
  Result<double> number(std::string_view key) const;
  Result<bool> boolean(std::string_view key) const;
  Result<std::string> string(std::string_view key) const;
  Result<JsonFields> object(std::string_view key) const;
  // Array of any length, as it stands.
  Result<const nlohmann::json*> array(std::string_view key) const;

  // ... or may be absent.
  Result<int64_t> integerOr(std::string_view key, int64_t otherwise, int64_t least = INT64_MIN,
                            int64_t most = INT64_MAX) const;
  Result<double> numberOr(std::string_view key, double otherwise) const;
  Result<bool> booleanOr(std::string_view key, bool otherwise) const;
  Result<std::string> stringOr(std::string_view key, std::string otherwise) const;

  // "<where>: <key>: <what>", a user error.
  Error error(std::string_view key, std::string_view what) const;

 private:
  JsonFields(const nlohmann::json* value, std::string where)
      : value_(value), where_(std::move(where)) {}
  Error wrongType(std::string_view key, std::string_view expected) const;
  Error missing(std::string_view key, std::string_view expected) const;

  const nlohmann::json* value_;
  std::string where_;
};

}  // namespace dcc
