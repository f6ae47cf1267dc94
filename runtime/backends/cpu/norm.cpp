#include <cmath>

#include "runtime/backends/cpu/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/backends/cpu/norm.cpp"
#include "hwy/foreach_target.h"
#include "runtime/backends/cpu/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {

float sumOfSquares(const float* x, int64_t n) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = hn::Lanes(d);
  // Two sums hide the addition's latency.
  auto even = hn::Zero(d), odd = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto a = hn::LoadU(d, x + i), b = hn::LoadU(d, x + i + lanes);
    even = hn::MulAdd(a, a, even);
    odd = hn::MulAdd(b, b, odd);
  }
  for (; i < n; i += lanes) {
    const auto a = i + lanes <= n ? hn::LoadU(d, x + i) : loadPartF32(d, x + i, n - i);
    even = hn::MulAdd(a, a, even);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
}

// out = x * factor * weight, a missing weight being 1; out may be x.
void scaleRow(const float* x, float factor, const float* weight, float* out, int64_t n) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = hn::Lanes(d);
  const auto f = hn::Set(d, factor), one = hn::Set(d, 1.0f);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto w = weight ? hn::LoadU(d, weight + i) : one;
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, x + i), f), w), d, out + i);
  }
  for (; i < n; ++i) out[i] = x[i] * factor * (weight ? weight[i] : 1);
}

float sumOf(const float* x, int64_t n) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = hn::Lanes(d);
  auto sum = hn::Zero(d);
  int64_t i = 0;
  for (; i < n; i += lanes) {
    sum = hn::Add(sum, i + lanes <= n ? hn::LoadU(d, x + i) : loadPartF32(d, x + i, n - i));
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// Of x - mean.
float sumOfSquaresFrom(const float* x, float mean, int64_t n) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = hn::Lanes(d);
  const auto m = hn::Set(d, mean);
  auto sum = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto a = hn::Sub(hn::LoadU(d, x + i), m);
    sum = hn::MulAdd(a, a, sum);
  }
  float squares = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  return squares;
}

// out = (x - mean) * factor * weight + bias; bias may be null.
void normalizeRow(const float* x, float mean, float factor, const float* weight, const float* bias,
                  float* out, int64_t n) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = hn::Lanes(d);
  const auto m = hn::Set(d, mean), f = hn::Set(d, factor);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto b = bias ? hn::LoadU(d, bias + i) : hn::Zero(d);
    const auto v = hn::Mul(hn::Sub(hn::LoadU(d, x + i), m), f);
    hn::StoreU(hn::MulAdd(v, hn::LoadU(d, weight + i), b), d, out + i);
  }
  for (; i < n; ++i) out[i] = (x[i] - mean) * factor * weight[i] + (bias ? bias[i] : 0);
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dcc::cpu {
namespace {

HWY_EXPORT(sumOfSquares);
HWY_EXPORT(scaleRow);
HWY_EXPORT(sumOf);
HWY_EXPORT(sumOfSquaresFrom);
HWY_EXPORT(normalizeRow);

// Columns [begin, begin + cols) of row r; the weight may be missing.
void normRow(const Matrix& x, const float* weight, float eps, const Matrix& out, int64_t r,
             int64_t begin, int64_t cols) {
  Reader in(x);
  Writer to(out);
  float squares = 0;
  forBlocks(cols, [&](int64_t c, int64_t n) {
    squares += HWY_DYNAMIC_DISPATCH(sumOfSquares)(in.read(r, begin + c, n), n);
  });
  const float factor = 1 / std::sqrt(squares / static_cast<float>(cols) + eps);
  forBlocks(cols, [&](int64_t c, int64_t n) {
    const float* v = in.read(r, begin + c, n);
    const float* w = weight ? weight + c : nullptr;
    HWY_DYNAMIC_DISPATCH(scaleRow)(v, factor, w, to.begin(r, begin + c, n), n);
    to.end();
  });
}

void layerNormRow(const Matrix& x, const float* weight, const float* bias, float eps,
                  const Matrix& out, int64_t r, int64_t begin, int64_t cols) {
  Reader in(x);
  Writer to(out);
  const auto count = static_cast<float>(cols);
  float sum = 0, squares = 0;
  forBlocks(cols, [&](int64_t c, int64_t n) {
    sum += HWY_DYNAMIC_DISPATCH(sumOf)(in.read(r, begin + c, n), n);
  });
  const float mean = sum / count;
  forBlocks(cols, [&](int64_t c, int64_t n) {
    squares += HWY_DYNAMIC_DISPATCH(sumOfSquaresFrom)(in.read(r, begin + c, n), mean, n);
  });
  const float factor = 1 / std::sqrt(squares / count + eps);
  forBlocks(cols, [&](int64_t c, int64_t n) {
    const float* v = in.read(r, begin + c, n);
    const float* b = bias ? bias + begin + c : nullptr;
    HWY_DYNAMIC_DISPATCH(normalizeRow)
    (v, mean, factor, weight + begin + c, b, to.begin(r, begin + c, n), n);
    to.end();
  });
}

}  // namespace

void unitNorm(ThreadPool& pool, const Matrix& x, float eps, int64_t head_dim, const Matrix& out) {
  rmsNorm(pool, x, nullptr, eps, head_dim, out);
}

void layerNorm(ThreadPool& pool, const Matrix& x, const float* weight, const float* bias, float eps,
               int64_t head_dim, const Matrix& out) {
  pool.forRanges(x.rows, rowGrain(x.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = 0; c < x.cols; c += head_dim) {
        layerNormRow(x, weight, bias, eps, out, r, c, head_dim);
      }
    }
  });
}

void rmsNorm(ThreadPool& pool, const Matrix& x, const float* weight, float eps, int64_t head_dim,
             const Matrix& out) {
  pool.forRanges(x.rows, rowGrain(x.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t c = 0; c < x.cols; c += head_dim) normRow(x, weight, eps, out, r, c, head_dim);
    }
  });
}

void addRmsNorm(ThreadPool& pool, const Matrix& x, const Matrix& y, const float* weight, float eps,
                const Matrix& sum, const Matrix& out) {
  pool.forRanges(x.rows, rowGrain(x.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      addRow(x, y, sum, r);
      normRow(sum, weight, eps, out, r, 0, sum.cols);
    }
  });
}

}  // namespace dcc::cpu
#endif
