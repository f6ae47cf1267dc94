// Vectors of f32 from memory of any float type. Included once per SIMD target.
#if defined(DCC_CPU_LOAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DCC_CPU_LOAD_INL_H_
#undef DCC_CPU_LOAD_INL_H_
#else
#define DCC_CPU_LOAD_INL_H_
#endif

#include <cstring>

#include "hwy/highway.h"

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
  const hn::Rebind<hwy::float16_t, D> d16;
  return hn::PromoteTo(d, hn::LoadU(d16, p));
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
