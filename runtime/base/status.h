// Errors as values: one line that says where, what is wrong and what would be right.
// No exceptions cross a library boundary of this project.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace dcc {

// Who is at fault decides the exit status of our programs (design, section 8).
enum class Fault {
  kUser = 2,     // the command line or an input file
  kRuntime = 1,  // anything else: a rank died, disk full, time-out
};

// `message` is what follows "error: ": "<module path or file:line>: what is wrong; what would be
// right". One line, no trailing newline.
struct Error {
  std::string message;
  Fault fault = Fault::kUser;
};

inline Error userError(std::string message) { return {std::move(message), Fault::kUser}; }
inline Error runtimeError(std::string message) { return {std::move(message), Fault::kRuntime}; }

// A value or an Error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

// Success or an Error.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : failed_(true), error_(std::move(error)) {}
  static Status success() { return {}; }

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return error_; }

 private:
  bool failed_ = false;
  Error error_;
};

}  // namespace dcc

// Returns from the enclosing function when `expr` (a Status or Result) failed.
#define DCC_RETURN_IF_ERROR(expr)                            \
  do {                                                       \
    if (const auto& dcc_status = (expr); !dcc_status.ok()) { \
      return ::dcc::Error(dcc_status.error());               \
    }                                                        \
  } while (false)

#define DCC_CONCAT_(a, b) a##b
#define DCC_CONCAT(a, b) DCC_CONCAT_(a, b)

// DCC_ASSIGN(auto x, expr): x is the Result's value, or the enclosing function returns its error.
#define DCC_ASSIGN(lhs, expr) DCC_ASSIGN_(DCC_CONCAT(dcc_result_, __LINE__), lhs, expr)
#define DCC_ASSIGN_(tmp, lhs, expr)                \
  auto tmp = (expr);                               \
  if (!tmp.ok()) return ::dcc::Error(tmp.error()); \
  lhs = std::move(tmp).value()
