// add, mul, add_bias, activation, gated_activation.
#include "runtime/backends/cpu/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/backends/cpu/elementwise.cpp"
#include "hwy/foreach_target.h"
#include "runtime/backends/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

using F32 = hn::ScalableTag<float>;

// out[i] = f(x[i], y[i]); out may be x or y.
template <class F>
HWY_INLINE void map(const float* x, const float* y, float* out, int64_t n, F&& f) {
  const F32 d;
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(f(hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, out + i);
  }
  if (i == n) return;
  alignas(64) float last[hn::MaxLanes(F32())];
  hn::Store(f(loadPartF32(d, x + i, n - i), loadPartF32(d, y + i, n - i)), d, last);
  std::memcpy(out + i, last, (n - i) * sizeof(float));
}

using VF32 = hn::Vec<F32>;

void addPart(const float* x, const float* y, float* out, int64_t n) {
  map(x, y, out, n, [](VF32 a, VF32 b) HWY_ATTR { return hn::Add(a, b); });
}
void mulPart(const float* x, const float* y, float* out, int64_t n) {
  map(x, y, out, n, [](VF32 a, VF32 b) HWY_ATTR { return hn::Mul(a, b); });
}
// y is not used: it may be x.
template <class F>
void applyPart(const float* x, const float* y, float* out, int64_t n) {
  map(x, y, out, n, [](VF32 a, VF32) HWY_ATTR { return F()(F32(), a); });
}
template <class F>
void gatePart(const float* x, const float* y, float* out, int64_t n) {
  map(x, y, out, n, [](VF32 a, VF32 b) HWY_ATTR { return hn::Mul(F()(F32(), a), b); });
}

void siluPart(const float* x, const float* y, float* o, int64_t n) { applyPart<Silu>(x, y, o, n); }
void geluPart(const float* x, const float* y, float* o, int64_t n) { applyPart<Gelu>(x, y, o, n); }
void geluTanhPart(const float* x, const float* y, float* o, int64_t n) {
  applyPart<GeluTanh>(x, y, o, n);
}
void reluPart(const float* x, const float* y, float* o, int64_t n) { applyPart<Relu>(x, y, o, n); }
void siluGate(const float* x, const float* y, float* o, int64_t n) { gatePart<Silu>(x, y, o, n); }
void geluGate(const float* x, const float* y, float* o, int64_t n) { gatePart<Gelu>(x, y, o, n); }
void geluTanhGate(const float* x, const float* y, float* o, int64_t n) {
  gatePart<GeluTanh>(x, y, o, n);
}
void reluGate(const float* x, const float* y, float* o, int64_t n) { gatePart<Relu>(x, y, o, n); }

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dcc::cpu {
namespace {

HWY_EXPORT(addPart);
HWY_EXPORT(mulPart);
HWY_EXPORT(siluPart);
HWY_EXPORT(geluPart);
HWY_EXPORT(geluTanhPart);
HWY_EXPORT(reluPart);
HWY_EXPORT(siluGate);
HWY_EXPORT(geluGate);
HWY_EXPORT(geluTanhGate);
HWY_EXPORT(reluGate);

using Part = void (*)(const float* x, const float* y, float* out, int64_t n);

void mapRow(Part part, const Matrix& x, const Matrix& y, const Matrix& out, int64_t r) {
  Reader left(x), right(y);
  Writer to(out);
  forBlocks(out.cols, [&](int64_t c, int64_t n) {
    part(left.read(r, c, n), right.read(r, c, n), to.begin(r, c, n), n);
    to.end();
  });
}

void mapRows(ThreadPool& pool, Part part, const Matrix& x, const Matrix& y, const Matrix& out) {
  pool.forRanges(out.rows, rowGrain(out.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) mapRow(part, x, y, out, r);
  });
}

}  // namespace

void addRow(const Matrix& x, const Matrix& y, const Matrix& out, int64_t row) {
  mapRow(HWY_DYNAMIC_DISPATCH(addPart), x, y, out, row);
}

void add(ThreadPool& pool, const Matrix& x, const Matrix& y, const Matrix& out) {
  mapRows(pool, HWY_DYNAMIC_DISPATCH(addPart), x, y, out);
}

void mul(ThreadPool& pool, const Matrix& x, const Matrix& y, const Matrix& out) {
  mapRows(pool, HWY_DYNAMIC_DISPATCH(mulPart), x, y, out);
}

void addBias(ThreadPool& pool, const Matrix& x, const float* bias, const Matrix& out) {
  // The bias as a matrix whose rows are all the same.
  Matrix rows;
  rows.data = reinterpret_cast<std::byte*>(const_cast<float*>(bias));
  rows.rows = x.rows;
  rows.cols = x.cols;
  mapRows(pool, HWY_DYNAMIC_DISPATCH(addPart), x, rows, out);
}

void activation(ThreadPool& pool, plan::Function function, const Matrix& x, const Matrix& out) {
  const auto part = [&]() -> Part {
    switch (function) {
      case plan::Function::kSilu:
        return HWY_DYNAMIC_DISPATCH(siluPart);
      case plan::Function::kGelu:
        return HWY_DYNAMIC_DISPATCH(geluPart);
      case plan::Function::kGeluTanh:
        return HWY_DYNAMIC_DISPATCH(geluTanhPart);
      case plan::Function::kRelu:
        break;
    }
    return HWY_DYNAMIC_DISPATCH(reluPart);
  };
  mapRows(pool, part(), x, x, out);
}

void gatedActivation(ThreadPool& pool, plan::Function function, const Matrix& gate,
                     const Matrix& up, const Matrix& out) {
  const auto part = [&]() -> Part {
    switch (function) {
      case plan::Function::kSilu:
        return HWY_DYNAMIC_DISPATCH(siluGate);
      case plan::Function::kGelu:
        return HWY_DYNAMIC_DISPATCH(geluGate);
      case plan::Function::kGeluTanh:
        return HWY_DYNAMIC_DISPATCH(geluTanhGate);
      case plan::Function::kRelu:
        break;
    }
    return HWY_DYNAMIC_DISPATCH(reluGate);
  };
  mapRows(pool, part(), gate, up, out);
}

}  // namespace dcc::cpu
#endif
