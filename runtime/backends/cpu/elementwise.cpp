// Kernels that go element by element: add, mul, scale, activations and their like.
#include <cmath>

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

// One function of each kind for every activation function: DCC_FUNCTIONS lists them.
#define DCC_FUNCTIONS(X) X(Silu) X(Gelu) X(GeluTanh) X(Relu) X(Sigmoid) X(Tanh) X(Relu2)
#define DCC_DEFINE(F)                                                   \
  void F##Part(const float* x, const float* y, float* out, int64_t n) { \
    applyPart<F>(x, y, out, n);                                         \
  }                                                                     \
  void F##Gate(const float* x, const float* y, float* out, int64_t n) { gatePart<F>(x, y, out, n); }
DCC_FUNCTIONS(DCC_DEFINE)
#undef DCC_DEFINE

void scalePart(const float* x, float factor, float* out, int64_t n) {
  const VF32 f = hn::Set(F32(), factor);
  map(x, x, out, n, [f](VF32 a, VF32) HWY_ATTR { return hn::Mul(a, f); });
}
void softCapPart(const float* x, float cap, float* out, int64_t n) {
  const VF32 c = hn::Set(F32(), cap);
  map(x, x, out, n,
      [c](VF32 a, VF32) HWY_ATTR { return hn::Mul(c, hn::Tanh(F32(), hn::Div(a, c))); });
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dcc::cpu {
namespace {

HWY_EXPORT(addPart);
HWY_EXPORT(mulPart);
HWY_EXPORT(scalePart);
HWY_EXPORT(softCapPart);
#define DCC_EXPORT(F)  \
  HWY_EXPORT(F##Part); \
  HWY_EXPORT(F##Gate);
DCC_FUNCTIONS(DCC_EXPORT)
#undef DCC_EXPORT

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

using NumberPart = void (*)(const float* x, float number, float* out, int64_t n);

void mapRow(NumberPart part, float number, const Matrix& x, const Matrix& out, int64_t r) {
  Reader in(x);
  Writer to(out);
  forBlocks(out.cols, [&](int64_t c, int64_t n) {
    part(in.read(r, c, n), number, to.begin(r, c, n), n);
    to.end();
  });
}

void mapRows(ThreadPool& pool, NumberPart part, float number, const Matrix& x, const Matrix& out) {
  pool.forRanges(out.rows, rowGrain(out.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) mapRow(part, number, x, out, r);
  });
}

#define DCC_CASE_PART(F)     \
  case plan::Function::k##F: \
    return HWY_DYNAMIC_DISPATCH(F##Part);
Part activationPart(plan::Function function) {
  switch (function) { DCC_FUNCTIONS(DCC_CASE_PART) }
  return nullptr;
}
#undef DCC_CASE_PART

#define DCC_CASE_GATE(F)     \
  case plan::Function::k##F: \
    return HWY_DYNAMIC_DISPATCH(F##Gate);
Part gatePart(plan::Function function) {
  switch (function) { DCC_FUNCTIONS(DCC_CASE_GATE) }
  return nullptr;
}
#undef DCC_CASE_GATE

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
  mapRows(pool, activationPart(function), x, x, out);
}

void gatedActivation(ThreadPool& pool, plan::Function function, const Matrix& gate,
                     const Matrix& up, const Matrix& out) {
  mapRows(pool, gatePart(function), gate, up, out);
}

void scale(ThreadPool& pool, const Matrix& x, float factor, const Matrix& out) {
  mapRows(pool, HWY_DYNAMIC_DISPATCH(scalePart), factor, x, out);
}

void softCap(ThreadPool& pool, const Matrix& x, float cap, const Matrix& out) {
  mapRows(pool, HWY_DYNAMIC_DISPATCH(softCapPart), cap, x, out);
}

void scaleRows(ThreadPool& pool, const Matrix& x, const Matrix& factors, const Matrix& out) {
  pool.forRanges(out.rows, rowGrain(out.cols), [&](int64_t begin, int64_t end) {
    Reader factor(factors);
    for (int64_t r = begin; r < end; ++r) {
      mapRow(HWY_DYNAMIC_DISPATCH(scalePart), *factor.read(r, 0, 1), x, out, r);
    }
  });
}

void temperature(ThreadPool& pool, const Matrix& x, const int32_t* positions, float scale,
                 int64_t floor, const Matrix& out) {
  pool.forRanges(out.rows, rowGrain(out.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto steps = static_cast<float>((int64_t{positions[r]} + 1) / floor);
      mapRow(HWY_DYNAMIC_DISPATCH(scalePart), std::log1p(steps) * scale + 1, x, out, r);
    }
  });
}

}  // namespace dcc::cpu
#endif
