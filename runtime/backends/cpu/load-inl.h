// Vectors of f32 from memory of any float type. Included once per SIMD target.
#if defined(DCC_CPU_LOAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DCC_CPU_LOAD_INL_H_
#undef DCC_CPU_LOAD_INL_H_
#else
#define DCC_CPU_LOAD_INL_H_
#endif

#include <cstring>

#include "hwy/highway.h"

// After a lambda's parameters: inline it, early enough for what it captures to stay in registers.
#undef DCC_INLINE_LAMBDA
#define DCC_INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE hn::Vec<D> loadF32(D d, const float* p) {
  return hn::LoadU(d, p);
}
template <class D>
HWY_INLINE hn::Vec<D> loadF32(D d, const hwy::bfloat16_t* p) {
  const hn::Rebind<uint16_t, D> d16;
  const hn::Rebind<uint32_t, D> d32;
  const auto bits = hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, bits)));
}
template <class D>
HWY_INLINE hn::Vec<D> loadF32(D d, const hwy::float16_t* p) {
#if HWY_TARGET == HWY_SSE4
  // No instruction for it, and Highway's replacement takes infinity for a number. As an f32 the
  // bits are the value times 2^-112; the largest exponent must become f32's largest.
  const hn::Rebind<uint16_t, D> d16;
  const hn::Rebind<uint32_t, D> d32;
  const auto bits = hn::PromoteTo(d32, hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p)));
  const auto abs = hn::And(bits, hn::Set(d32, 0x7fff));
  const auto sign = hn::BitCast(d, hn::ShiftLeft<16>(hn::Xor(bits, abs)));
  const auto value = hn::Mul(hn::BitCast(d, hn::ShiftLeft<13>(abs)), hn::Set(d, 0x1p112f));
  const auto is_finite = hn::RebindMask(d, hn::Lt(abs, hn::Set(d32, 0x7c00)));
  const auto special = hn::Or(value, hn::BitCast(d, hn::Set(d32, 0x7f800000)));
  return hn::Or(sign, hn::IfThenElse(is_finite, value, special));
#else
  const hn::Rebind<hwy::float16_t, D> d16;
  return hn::PromoteTo(d, hn::LoadU(d16, p));
#endif
}

// The first n < Lanes(d) elements, zeros after them; reads nothing beyond.
template <class D, class T>
HWY_INLINE hn::Vec<D> loadPartF32(D d, const T* p, size_t n) {
  alignas(64) T part[hn::MaxLanes(D())] = {};
  std::memcpy(part, p, n * sizeof(T));
  return loadF32(d, part);
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
