// Reads a Hugging Face config.json: typed fields, ranges checked, defaults where the format has
// them.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/base/json.h"
#include "runtime/base/status.h"

namespace dcc::huggingface {

// Inclusive. The default fits any size of a model and leaves room for products in 64 bits.
struct Range {
  int64_t least = 1;
  int64_t most = INT32_MAX;
};

// Keeps the first error instead of returning one per field, so that a family reads its fields in
// one list and asks status() once:
//
//   model.hidden = config.integer("hidden_size");
//   model.layers = config.integer("num_hidden_layers", {1, 10000});
//   DCC_RETURN_IF_ERROR(config.status());
//
// After an error, a field's value is its default or the least allowed one: never out of range.
// A field that is null counts as absent, as in transformers.
class ConfigReader {
 public:
  // Errors (user): missing, unreadable or too large file, not JSON, not an object.
  static Result<ConfigReader> open(const std::string& path);
  // `name` stands for the file in errors.
  static Result<ConfigReader> fromJson(std::string_view text, const std::string& name);

  // Required fields, ...
  int64_t integer(std::string_view key, Range range = {}) const;
  double number(std::string_view key) const;
  double positive(std::string_view key) const;  // > 0
  std::string string(std::string_view key) const;
  // ... and ones with a default (which need not lie in the range: -1 can mean "none").
  int64_t integerOr(std::string_view key, int64_t otherwise, Range range = {}) const;
  double numberOr(std::string_view key, double otherwise) const;
  double positiveOr(std::string_view key, double otherwise) const;
  bool booleanOr(std::string_view key, bool otherwise) const;
  std::string stringOr(std::string_view key, const std::string& otherwise) const;

  // A list of strings; empty when it is absent.
  std::vector<std::string> strings(std::string_view key) const;
  // Likewise of numbers, and of integers in a range.
  std::vector<double> numbers(std::string_view key) const;
  std::vector<int64_t> integers(std::string_view key, Range range = {}) const;

  bool has(std::string_view key) const { return fields_.has(key); }
  // Also when its value is null, where that means something else than absent.
  bool mentions(std::string_view key) const { return fields_.value().contains(key); }
  // A nested object, or none if it is absent, null or {}. Its errors are this reader's errors.
  std::optional<ConfigReader> object(std::string_view key) const;

  // How many fields a nested object has; 0 without it.
  int64_t count(std::string_view key) const;

  // The file that is read.
  const std::string& file() const { return fields_.where(); }

  // architectures[0]; without one "".
  std::string architecture() const;
  // "model_type"; without one "".
  std::string modelType() const { return stringOr("model_type", ""); }
  // "dtype", or "torch_dtype" as written before transformers 5: f32, bf16 or f16.
  std::optional<DType> dtype() const;

  // Records an error of the caller's own: "<file>: <key>: <what>".
  void fail(std::string_view key, std::string_view what) const;
  // The first error, of this reader and its nested ones.
  const Status& status() const { return *status_; }

 private:
  ConfigReader(std::shared_ptr<const nlohmann::json> document, JsonFields fields,
               std::shared_ptr<Status> status)
      : document_(std::move(document)), fields_(std::move(fields)), status_(std::move(status)) {}
  static Result<ConfigReader> of(nlohmann::json document, const std::string& name);
  template <class T>
  T keep(Result<T> result, T otherwise) const;

  std::shared_ptr<const nlohmann::json> document_;  // what fields_ refers to
  JsonFields fields_;
  std::shared_ptr<Status> status_;
};

}  // namespace dcc::huggingface
