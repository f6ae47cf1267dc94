// Filters of numbers, and `default`.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "runtime/text/jinja/characters.h"
#include "runtime/text/jinja/literals.h"
#include "runtime/text/jinja/native.h"
#include "runtime/text/jinja/operators.h"
#include "runtime/text/jinja/text.h"

namespace dcc::jinja {
namespace {

Result<Value> otherwise(Run& run, const Value& self, const Bound& args) {
  if (!self.isUndefined() && (!args.flag(1, false) || truth(self))) return self;
  return args.given(0) ? args[0] : run.string("");
}

Result<Value> absolute(Run& run, const Value& self, const Bound&) {
  int64_t scratch;
  if (const int64_t* integer = self.integer(scratch)) {
    if (*integer < 0) return negative(run, self);
    return Value(*integer);
  }
  if (self.floating() != nullptr) return Value(std::fabs(*self.floating()));
  if (self.isUndefined()) return userError(self.why());
  return userError("bad operand type for abs(): '" + std::string(typeName(self)) + "'");
}

// Without white space around it and "_" between digits; nothing where "_" stands elsewhere.
std::optional<std::string> digitsOf(std::string_view text) {
  const std::string_view stripped = strip(text, Side::kBoth);
  std::string digits;
  const auto alnum = [&](size_t i) {
    return i < stripped.size() && std::isalnum(static_cast<unsigned char>(stripped[i])) != 0;
  };
  for (size_t i = 0; i < stripped.size(); ++i) {
    if (stripped[i] != '_') {
      digits += stripped[i];
    } else if (i == 0 || !alnum(i - 1) || !alnum(i + 1)) {
      return std::nullopt;
    }
  }
  return digits;
}

// Python's float() of a text.
std::optional<double> floatOf(std::string_view text) {
  const std::optional<std::string> digits = digitsOf(text);
  if (!digits) return std::nullopt;
  std::string_view rest = *digits;
  const bool minus = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  if (rest.empty() || rest[0] == '-' || lower(rest).substr(0, 4) == "nan(") return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (end != rest.data() + rest.size() || error == std::errc::invalid_argument) return std::nullopt;
  // Too large or too small: strtod says which.
  if (error == std::errc::result_out_of_range)
    value = std::strtod(std::string(rest).c_str(), nullptr);
  return minus ? -value : value;
}

// Python's int() of a text in a base.
std::optional<int64_t> integerOf(std::string_view text, int base, bool& too_large) {
  std::optional<std::string> digits = digitsOf(text);
  if (!digits) return std::nullopt;
  std::string& rest = *digits;
  const bool minus = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.erase(0, 1);
  const char prefix = base == 16 ? 'x' : base == 8 ? 'o' : base == 2 ? 'b' : '\0';
  if (prefix != '\0' && rest.size() > 2 && rest[0] == '0' && (rest[1] | 0x20) == prefix) {
    rest.erase(0, 2);
  }
  if (rest.empty() || rest[0] == '-') return std::nullopt;
  if (minus) rest.insert(0, 1, '-');
  int64_t value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value, base);
  if (end != rest.data() + rest.size()) return std::nullopt;
  too_large = error == std::errc::result_out_of_range;
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

Result<Value> truncated(Run& run, double value) {
  if (std::fabs(value) >= 0x1p63) return run.unsupported("an integer of more than 64 bits");
  return Value(static_cast<int64_t>(value));
}

Result<Value> integer(Run& run, const Value& self, const Bound& args) {
  const Value fallback = args.given(0) ? args[0] : Value(int64_t{0});
  int64_t scratch;
  if (self.isUndefined()) return userError(self.why());
  if (const int64_t* value = self.integer(scratch)) return Value(*value);
  if (self.floating() != nullptr) {
    if (std::isinf(*self.floating())) return userError("cannot convert float infinity to integer");
    if (std::isnan(*self.floating())) return fallback;
    return truncated(run, *self.floating());
  }
  if (!self.isString()) return fallback;
  DCC_ASSIGN(const int64_t base, args.integer(1, 10));
  if (base < 2 || base > 36) return run.unsupported("'int' in base " + std::to_string(base));
  bool too_large = false;
  if (const auto value = integerOf(self.text(), static_cast<int>(base), too_large)) {
    return Value(*value);
  }
  if (too_large) return run.unsupported("an integer of more than 64 bits");
  const std::optional<double> value = floatOf(self.text());
  if (value && std::isfinite(*value)) return truncated(run, *value);
  return fallback;
}

Result<Value> floating(Run&, const Value& self, const Bound& args) {
  const Value fallback = args.given(0) ? args[0] : Value(0.0);
  double value;
  if (self.isUndefined()) return userError(self.why());
  if (self.number(value)) return Value(value);
  if (!self.isString()) return fallback;
  const std::optional<double> parsed = floatOf(self.text());
  return parsed ? Value(*parsed) : fallback;
}

// To so many digits behind the point, as printf does: exactly, and ties to even.
double rounded(double value, int64_t precision) {
  if (!std::isfinite(value)) return value;
  char buffer[400];
  std::snprintf(buffer, sizeof(buffer), "%.*f", static_cast<int>(precision), value);
  return std::strtod(buffer, nullptr);
}

Result<Value> round(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const int64_t precision, args.integer(0, 0));
  DCC_ASSIGN(const std::string_view method, args.text(1, "common"));
  if (method != "common" && method != "ceil" && method != "floor") {
    return userError("method must be common, ceil or floor");
  }
  double value;
  if (self.isUndefined()) return userError(self.why());
  if (!self.number(value)) {
    return userError("type " + std::string(typeName(self)) + " doesn't define __round__ method");
  }
  if (precision < 0 || precision > 80) {
    return run.unsupported("'round' to " + std::to_string(precision) + " digits");
  }
  int64_t scratch;
  if (method == "common") {
    if (const int64_t* whole = self.integer(scratch)) return Value(*whole);
    return Value(rounded(value, precision));
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  // Python's are whole numbers, of which none is -0.
  const double whole = method == "ceil" ? std::ceil(value * scale) : std::floor(value * scale);
  return Value((whole + 0.0) / scale);
}

constexpr Native kFilters[] = {
    {"abs", absolute, ""},
    {"d", otherwise, "default_value boolean"},
    {"default", otherwise, "default_value boolean"},
    {"float", floating, "default"},
    {"int", integer, "default base"},
    {"round", round, "precision method"},
};

}  // namespace

std::span<const Native> valueFilters() { return kFilters; }

}  // namespace dcc::jinja
