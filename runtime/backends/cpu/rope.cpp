#include "runtime/backends/cpu/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/backends/cpu/rope.cpp"
#include "hwy/foreach_target.h"
#include "runtime/backends/cpu/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

// One head: pairs (i, i + half). out may be x.
void rotateHalves(const float* x, const float* cos, const float* sin, int64_t half, float* out) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const auto a = hn::LoadU(d, x + i), b = hn::LoadU(d, x + half + i);
    const auto c = hn::LoadU(d, cos + i), s = hn::LoadU(d, sin + i);
    hn::StoreU(hn::NegMulAdd(b, s, hn::Mul(a, c)), d, out + i);
    hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), d, out + half + i);
  }
  for (; i < half; ++i) {
    const float a = x[i], b = x[half + i];
    out[i] = a * cos[i] - b * sin[i];
    out[half + i] = b * cos[i] + a * sin[i];
  }
}

// One head: pairs (2i, 2i + 1).
void rotatePairs(const float* x, const float* cos, const float* sin, int64_t half, float* out) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    hn::Vec<decltype(d)> a, b;
    hn::LoadInterleaved2(d, x + 2 * i, a, b);
    const auto c = hn::LoadU(d, cos + i), s = hn::LoadU(d, sin + i);
    hn::StoreInterleaved2(hn::NegMulAdd(b, s, hn::Mul(a, c)), hn::MulAdd(a, s, hn::Mul(b, c)), d,
                          out + 2 * i);
  }
  for (; i < half; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    out[2 * i] = a * cos[i] - b * sin[i];
    out[2 * i + 1] = b * cos[i] + a * sin[i];
  }
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dcc::cpu {

HWY_EXPORT(rotateHalves);
HWY_EXPORT(rotatePairs);

void rope(ThreadPool& pool, const Matrix& x, const RotaryView& angles, int64_t head_dim,
          int64_t first, bool interleaved, const Matrix& out) {
  const auto rotate =
      interleaved ? HWY_DYNAMIC_DISPATCH(rotatePairs) : HWY_DYNAMIC_DISPATCH(rotateHalves);
  const int64_t half = angles.half;
  pool.forRanges(x.rows, rowGrain(x.cols), [&](int64_t begin, int64_t end) {
    Reader in(x);
    Writer to(out);
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t c = 0; c < x.cols; c += head_dim) {
        const float* v = in.read(t, c, head_dim);
        float* o = to.begin(t, c, head_dim);
        rotate(v + first, angles.cos + t * half, angles.sin + t * half, half, o + first);
        // The rest of the head passes through.
        if (o != v) {
          const int64_t end = first + 2 * half;
          std::memcpy(o, v, first * sizeof(float));
          std::memcpy(o + end, v + end, (head_dim - end) * sizeof(float));
        }
        to.end();
      }
    }
  });
}

}  // namespace dcc::cpu
#endif
