// Activation functions on vectors of f32. Included once per SIMD target.
#if defined(DCC_CPU_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DCC_CPU_MATH_INL_H_
#undef DCC_CPU_MATH_INL_H_
#else
#define DCC_CPU_MATH_INL_H_
#endif

#include "hwy/contrib/math/math-inl.h"
#include "runtime/backends/cpu/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

// 2^y for y <= 0, to 1e-7 relative; 0 below 2^-126. With n the integer nearest to y it is 2^n times
// 2^(y - n), that by a polynomial (Remez' exchange, error 2e-9).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp2OfNegative(D d, V y) {
  constexpr float kP[] = {1.0f,           0.693147182f,   0.240226462f,   0.0555032864f,
                          0.00961848907f, 0.00133999309f, 0.000153458124f};
  // Beside so large a number there is no room for a fraction, and n is in its lowest bits.
  const V large = hn::Set(d, 12582912.0f);  // 1.5 * 2^23
  const V sum = hn::Add(y, large), f = hn::Sub(y, hn::Sub(sum, large));
  V p = hn::Set(d, kP[6]);
  for (int i = 5; i >= 0; --i) p = hn::MulAdd(p, f, hn::Set(d, kP[i]));
  const hn::RebindToSigned<D> di;
  const auto n = hn::ShiftLeft<23>(hn::BitCast(di, sum));
  const V scaled = hn::BitCast(d, hn::Add(hn::BitCast(di, p), n));
  return hn::IfThenElseZero(hn::Ge(y, hn::Set(d, -126.0f)), scaled);
}

// x / (1 + e^-z): x times the logistic function of z.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V timesLogistic(D d, V x, V z) {
  // Beyond 88 e^-z overflows; by then the quotient is below what f32 can tell from 0.
  const V e = hn::Exp(d, hn::Min(hn::Neg(z), hn::Set(d, 88.0f)));
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), e));
}

struct Silu {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return timesLogistic(d, x, x);
  }
};

struct Relu {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Max(x, hn::Zero(d));
  }
};

struct Relu2 {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    const V positive = hn::Max(x, hn::Zero(d));
    return hn::Mul(positive, positive);
  }
};

struct Sigmoid {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return timesLogistic(d, hn::Set(d, 1.0f), x);
  }
};

struct Tanh {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Tanh(d, x);
  }
};

// x / 2 (1 + tanh(u)) = x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
struct GeluTanh {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    constexpr float kTwiceRoot = 1.5957691216057308f;
    const V cubic = hn::Mul(hn::Mul(x, x), hn::Set(d, kTwiceRoot * 0.044715f));
    return timesLogistic(d, x, hn::Mul(x, hn::Add(hn::Set(d, kTwiceRoot), cubic)));
  }
};

// erfc(z) for 0 <= z <= 10, to 3e-7 relative below 3 (and e^(-z^2)'s accuracy beyond): with
// t = 1 / (1 + z/2) it is t e^(-z^2 + p(t)), p a polynomial fitted at Chebyshev nodes in
// u = 2.4 t - 1.4, which runs through [-1, 1] (error 5e-8).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V erfc(D d, V z) {
  constexpr float kP[] = {-0.558595398f,   0.570307103f,   0.0157473061f,    -0.0294703369f,
                          -0.00106340791f, 0.00370747674f, -0.000225964162f, -0.00053432061f,
                          7.27287902e-05f, 5.48602467e-05f};
  const V one = hn::Set(d, 1.0f);
  const V t = hn::Div(one, hn::MulAdd(z, hn::Set(d, 0.5f), one));
  const V u = hn::MulAdd(t, hn::Set(d, 2.4f), hn::Set(d, -1.4f));
  V p = hn::Set(d, kP[9]);
  for (int i = 8; i >= 0; --i) p = hn::MulAdd(p, u, hn::Set(d, kP[i]));
  return hn::Mul(t, hn::Exp(d, hn::NegMulAdd(z, z, p)));
}

// x / 2 (1 + erf(x / sqrt(2))).
struct Gelu {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    const V z = hn::Min(hn::Mul(hn::Abs(x), hn::Set(d, 0.70710678f)), hn::Set(d, 10.0f));
    const V half = hn::Mul(hn::Set(d, 0.5f), erfc(d, z));  // of the normal law's smaller tail
    const auto negative = hn::Lt(x, hn::Zero(d));
    return hn::Mul(x, hn::IfThenElse(negative, half, hn::Sub(hn::Set(d, 1.0f), half)));
  }
};

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
