// Activation functions in device code: those of plan::Function on f32.
#pragma once

#include <type_traits>

#include "runtime/backends/cuda/cuda.h"
#include "runtime/plan/functions.h"

namespace dcc::cuda {

// x / (1 + e^-z): x times the logistic function of z. A NaN stays one, here and below.
__device__ inline float timesLogistic(float x, float z) {
  // Beyond 88 e^-z overflows; by then the quotient is below what f32 can tell from 0. A division to
  // two units in the last place has no branches, so that those of several elements overlap.
  return __fdividef(x, 1 + expf(z < -88.0f ? 88.0f : -z));
}

// Every thread of a launch takes the same branch.
__device__ inline float applyFunction(plan::Function function, float x) {
  switch (function) {
    case plan::Function::kSilu:
      return timesLogistic(x, x);
    case plan::Function::kGelu:
      return 0.5f * x * erfcf(x * -0.70710678f);
    case plan::Function::kGeluTanh: {
      // x / 2 (1 + tanh(u)) = x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
      constexpr float kTwiceRoot = 1.5957691216057308f;
      return timesLogistic(x, x * (kTwiceRoot + kTwiceRoot * 0.044715f * x * x));
    }
    case plan::Function::kRelu:
      return x < 0 ? 0.0f : x;
    case plan::Function::kSigmoid:
      return timesLogistic(1, x);
    case plan::Function::kTanh:
      return tanhf(x);
    case plan::Function::kRelu2: {
      const float positive = x < 0 ? 0.0f : x;
      return positive * positive;
    }
  }
  return x;
}

// For kernels that a function is compiled into: calls
// body(std::integral_constant<plan::Function, function>()).
template <class Body>
void withFunction(plan::Function function, Body&& body) {
  using F = plan::Function;
  switch (function) {
    case F::kSilu:
      return body(std::integral_constant<F, F::kSilu>());
    case F::kGelu:
      return body(std::integral_constant<F, F::kGelu>());
    case F::kGeluTanh:
      return body(std::integral_constant<F, F::kGeluTanh>());
    case F::kRelu:
      return body(std::integral_constant<F, F::kRelu>());
    case F::kSigmoid:
      return body(std::integral_constant<F, F::kSigmoid>());
    case F::kTanh:
      return body(std::integral_constant<F, F::kTanh>());
    case F::kRelu2:
      return body(std::integral_constant<F, F::kRelu2>());
  }
}

}  // namespace dcc::cuda
