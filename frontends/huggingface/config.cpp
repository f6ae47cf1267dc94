#include "frontends/huggingface/config.h"

#include <cmath>

#include <utility>

#include "runtime/base/printable.h"

namespace dcc::huggingface {

namespace {
// The largest published config.json has a few hundred kilobytes (label names).
constexpr JsonLimits kLimits{.depth = 32, .bytes = 16ull << 20};
}  // namespace

Result<ConfigReader> ConfigReader::open(const std::string& path) {
  DCC_ASSIGN(nlohmann::json document, readJson(path, kLimits));
  return of(std::move(document), path);
}

Result<ConfigReader> ConfigReader::fromJson(std::string_view text, const std::string& name) {
  DCC_ASSIGN(nlohmann::json document, parseJson(text, name, kLimits));
  return of(std::move(document), name);
}

Result<ConfigReader> ConfigReader::of(nlohmann::json document, const std::string& name) {
  auto owned = std::make_shared<const nlohmann::json>(std::move(document));
  DCC_ASSIGN(JsonFields fields, JsonFields::of(*owned, name));
  return ConfigReader(std::move(owned), std::move(fields), std::make_shared<Status>());
}

template <class T>
T ConfigReader::keep(Result<T> result, T otherwise) const {
  if (result.ok()) return std::move(result).value();
  if (status_->ok()) *status_ = result.error();
  return otherwise;
}

void ConfigReader::fail(std::string_view key, std::string_view what) const {
  if (status_->ok()) *status_ = fields_.error(key, what);
}

int64_t ConfigReader::integer(std::string_view key, Range range) const {
  return keep(fields_.integer(key, range.least, range.most), range.least);
}

int64_t ConfigReader::integerOr(std::string_view key, int64_t otherwise, Range range) const {
  return keep(fields_.integerOr(key, otherwise, range.least, range.most), otherwise);
}

int64_t ConfigReader::count(std::string_view key) const {
  std::optional<ConfigReader> nested = object(key);
  return nested ? static_cast<int64_t>(nested->fields_.value().size()) : 0;
}

std::vector<std::string> ConfigReader::strings(std::string_view key) const {
  std::vector<std::string> result;
  if (!has(key)) return result;
  const nlohmann::json* array =
      keep(fields_.array(key), static_cast<const nlohmann::json*>(nullptr));
  for (size_t i = 0; array && i < array->size(); ++i) {
    if (!(*array)[i].is_string()) {
      fail(key, "must be a list of strings");
      return {};
    }
    result.push_back((*array)[i].get<std::string>());
  }
  return result;
}

std::vector<double> ConfigReader::numbers(std::string_view key) const {
  std::vector<double> result;
  if (!has(key)) return result;
  const nlohmann::json* array =
      keep(fields_.array(key), static_cast<const nlohmann::json*>(nullptr));
  for (size_t i = 0; array && i < array->size(); ++i) {
    if (!(*array)[i].is_number()) {
      fail(key, "must be a list of numbers");
      return {};
    }
    result.push_back((*array)[i].get<double>());
  }
  return result;
}

std::vector<int64_t> ConfigReader::integers(std::string_view key, Range range) const {
  std::vector<int64_t> result;
  for (double number : numbers(key)) {
    if (number != std::floor(number) || number < static_cast<double>(range.least) ||
        number > static_cast<double>(range.most)) {
      fail(key, "must be a list of integers from " + std::to_string(range.least) + " to " +
                    std::to_string(range.most));
      return {};
    }
    result.push_back(static_cast<int64_t>(number));
  }
  return result;
}

double ConfigReader::number(std::string_view key) const { return keep(fields_.number(key), 1.0); }

double ConfigReader::numberOr(std::string_view key, double otherwise) const {
  return keep(fields_.numberOr(key, otherwise), otherwise);
}

double ConfigReader::positive(std::string_view key) const {
  double value = number(key);
  if (value > 0) return value;
  fail(key, "is " + fields_.find(key)->dump() + "; a number above 0 is expected");
  return 1.0;
}

double ConfigReader::positiveOr(std::string_view key, double otherwise) const {
  return has(key) ? positive(key) : otherwise;
}

bool ConfigReader::booleanOr(std::string_view key, bool otherwise) const {
  return keep(fields_.booleanOr(key, otherwise), otherwise);
}

std::string ConfigReader::string(std::string_view key) const {
  return keep(fields_.string(key), std::string());
}

std::string ConfigReader::stringOr(std::string_view key, const std::string& otherwise) const {
  return keep(fields_.stringOr(key, otherwise), otherwise);
}

std::optional<ConfigReader> ConfigReader::object(std::string_view key) const {
  if (!has(key)) return std::nullopt;
  Result<JsonFields> nested = fields_.object(key);
  if (!nested.ok()) {
    if (status_->ok()) *status_ = nested.error();
    return std::nullopt;
  }
  if (nested->value().empty()) return std::nullopt;
  return ConfigReader(document_, std::move(nested).value(), status_);
}

std::string ConfigReader::architecture() const {
  const nlohmann::json* names = fields_.find("architectures");
  if (!names || (names->is_array() && names->empty())) return "";
  if (!names->is_array() || !names->front().is_string()) {
    fail("architectures", "is no list of names; [\"LlamaForCausalLM\"], say, is expected");
    return "";
  }
  return names->front().get<std::string>();
}

std::optional<DType> ConfigReader::dtype() const {
  std::string_view key = has("dtype") ? "dtype" : "torch_dtype";
  std::string text = stringOr(key, "");
  if (text.empty()) return std::nullopt;
  std::string_view bare = text;
  if (bare.starts_with("torch.")) bare.remove_prefix(6);
  std::optional<DType> type = parseDType(bare);
  if (type == DType::kF32 || type == DType::kBF16 || type == DType::kF16) return type;
  fail(key, "is \"" + printable(text) + "\"; float32, bfloat16 or float16 is expected");
  return std::nullopt;
}

}  // namespace dcc::huggingface
