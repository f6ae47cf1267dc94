#include "runtime/backends/cpu/convert.h"

#include <cstring>

#include "runtime/backends/cpu/matrix.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/backends/cpu/convert.cpp"
#include "hwy/foreach_target.h"
#include "runtime/backends/cpu/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

using F32 = hn::ScalableTag<float>;

template <class T>
void widen(const T* src, float* dst, int64_t n) {
  const F32 d;
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(loadF32(d, src + i), d, dst + i);
  if (i == n) return;
  alignas(64) float last[hn::MaxLanes(F32())];
  hn::Store(loadPartF32(d, src + i, n - i), d, last);
  std::memcpy(dst + i, last, (n - i) * sizeof(float));
}

void widenBf16(const void* src, float* dst, int64_t n) {
  widen(static_cast<const hwy::bfloat16_t*>(src), dst, n);
}
void widenF16(const void* src, float* dst, int64_t n) {
  widen(static_cast<const hwy::float16_t*>(src), dst, n);
}

using U32 = hn::RebindToUnsigned<F32>;

// `narrow` makes 16-bit patterns, in lanes of 32 bits, of the bits of each vector.
template <class Narrow>
HWY_INLINE void narrowAll(const float* src, void* dst, int64_t n, Narrow&& narrow) {
  const F32 d;
  const U32 du;
  const hn::RebindToSigned<F32> di;
  const hn::Rebind<uint16_t, F32> d16;
  const int64_t lanes = hn::Lanes(d);
  auto* out = static_cast<uint16_t*>(dst);
  const auto make = [&](hn::Vec<F32> v) HWY_ATTR {
    return hn::DemoteTo(d16, hn::BitCast(di, narrow(hn::BitCast(du, v))));
  };
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(make(hn::LoadU(d, src + i)), d16, out + i);
  if (i == n) return;
  alignas(64) uint16_t last[hn::MaxLanes(F32())];
  hn::Store(make(loadPartF32(d, src + i, n - i)), d16, last);
  std::memcpy(out + i, last, (n - i) * sizeof(uint16_t));
}

void narrowBf16(const float* src, void* dst, int64_t n) {
  const U32 d;
  narrowAll(src, dst, n, [=](hn::Vec<U32> bits) HWY_ATTR {
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1));
    const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7fff)));
    // Rounding could carry a NaN over to infinity; a quiet NaN of the same sign cannot.
    const auto is_nan = hn::Gt(hn::And(bits, hn::Set(d, 0x7fffffff)), hn::Set(d, 0x7f800000));
    const auto quiet = hn::Or(bits, hn::Set(d, 0x00400000));
    return hn::ShiftRight<16>(hn::IfThenElse(is_nan, quiet, rounded));
  });
}

// Not by DemoteTo, which truncates on targets without the instruction.
void narrowF16(const float* src, void* dst, int64_t n) {
  const F32 df;
  const U32 d;
  narrowAll(src, dst, n, [=](hn::Vec<U32> bits) HWY_ATTR {
    const auto abs = hn::And(bits, hn::Set(d, 0x7fffffff));
    const auto sign = hn::ShiftRight<16>(hn::Xor(bits, abs));
    // Normal: rebias the exponent and round the 13 bits that go; the carry may reach infinity.
    const auto odd = hn::And(hn::ShiftRight<13>(abs), hn::Set(d, 1));
    const auto rebias = hn::Set(d, 0xfffu - (112u << 23));
    const auto normal = hn::ShiftRight<13>(hn::Add(abs, hn::Add(odd, rebias)));
    // Below 2^-14: adding 0.5 leaves multiples of 2^-24, rounded, in the low bits.
    const auto half = hn::Set(d, 0x3f000000);
    const auto tiny =
        hn::Sub(hn::BitCast(d, hn::Add(hn::BitCast(df, abs), hn::BitCast(df, half))), half);
    // 2^16 and above is infinite, NaN stays NaN.
    const auto is_nan = hn::Gt(abs, hn::Set(d, 0x7f800000));
    const auto huge = hn::IfThenElse(is_nan, hn::Set(d, 0x7e00), hn::Set(d, 0x7c00));
    const auto finite = hn::IfThenElse(hn::Lt(abs, hn::Set(d, 0x38800000)), tiny, normal);
    return hn::Or(sign, hn::IfThenElse(hn::Lt(abs, hn::Set(d, 0x47800000)), finite, huge));
  });
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dcc::cpu {

HWY_EXPORT(widenBf16);
HWY_EXPORT(widenF16);
HWY_EXPORT(narrowBf16);
HWY_EXPORT(narrowF16);

void toF32(DType from, const void* src, float* dst, int64_t n) {
  if (from == DType::kBF16) {
    HWY_DYNAMIC_DISPATCH(widenBf16)(src, dst, n);
  } else if (from == DType::kF16) {
    HWY_DYNAMIC_DISPATCH(widenF16)(src, dst, n);
  } else {
    std::memcpy(dst, src, n * sizeof(float));
  }
}

void fromF32(const float* src, DType to, void* dst, int64_t n) {
  if (to == DType::kBF16) {
    HWY_DYNAMIC_DISPATCH(narrowBf16)(src, dst, n);
  } else if (to == DType::kF16) {
    HWY_DYNAMIC_DISPATCH(narrowF16)(src, dst, n);
  } else {
    std::memmove(dst, src, n * sizeof(float));
  }
}

void copyRow(const Matrix& from, int64_t from_row, int64_t from_col, const Matrix& to,
             int64_t to_row, int64_t to_col, int64_t n) {
  if (from.dtype == to.dtype) {
    std::memmove(to.at(to_row, to_col), from.at(from_row, from_col), n * byteSize(from.dtype));
    return;
  }
  Reader in(from);
  Writer out(to);
  forBlocks(n, [&](int64_t c, int64_t part) {
    const float* x = in.read(from_row, from_col + c, part);
    std::memcpy(out.begin(to_row, to_col + c, part), x, part * sizeof(float));
    out.end();
  });
}

}  // namespace dcc::cpu
#endif
