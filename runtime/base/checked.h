// Arithmetic on untrusted sizes: a result, or nothing when it would overflow.
#pragma once

#include <cstdint>
#include <optional>

namespace dcc {

template <class T>
constexpr std::optional<T> checkedAdd(T a, T b) {
  T r;
  if (__builtin_add_overflow(a, b, &r)) return std::nullopt;
  return r;
}

template <class T>
constexpr std::optional<T> checkedMul(T a, T b) {
  T r;
  if (__builtin_mul_overflow(a, b, &r)) return std::nullopt;
  return r;
}

// ceil(a / b) for a >= 0, b > 0, without overflow.
template <class T>
constexpr T ceilDiv(T a, T b) {
  return a / b + (a % b != 0);
}

// a rounded up to a multiple of `unit`; the caller knows that it fits.
template <class T>
constexpr T alignUp(T a, T unit) {
  return ceilDiv(a, unit) * unit;
}

}  // namespace dcc
