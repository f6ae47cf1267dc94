// Element by element: eight of a row to a thread.
#include "runtime/backends/cuda/eights.cuh"
#include "runtime/backends/cuda/functions.cuh"
#include "runtime/backends/cuda/kernels.h"

namespace dcc::cuda {
namespace {

// out = f(x).
template <class F>
__global__ void unaryKernel(F f, Matrix x, Matrix out) {
  waitForInputs();
  const Place at = placeIn(out);
  if (at.n <= 0) return;
  float v[kEight];
  toF32(readEight(x, at.row, at.col, at.n), x.dtype, v);
  DCC_UNROLL for (int i = 0; i < kEight; ++i) v[i] = f(v[i]);
  writeEight(out, at.row, at.col, at.n, fromF32(v, out.dtype));
}

// out = f(x, y).
template <class F, class Types>
__global__ void binaryKernel(F f, Matrix x, Matrix y, Matrix out) {
  Types::fix(x, y, out);
  waitForInputs();
  const Place at = placeIn(out);
  if (at.n <= 0) return;
  const Eight left = readEight(x, at.row, at.col, at.n);
  const Eight right = readEight(y, at.row, at.col, at.n);
  float v[kEight], w[kEight];
  toF32(left, x.dtype, v);
  toF32(right, y.dtype, w);
  DCC_UNROLL for (int i = 0; i < kEight; ++i) v[i] = f(v[i], w[i]);
  writeEight(out, at.row, at.col, at.n, fromF32(v, out.dtype));
}

// out = x * factor(row).
template <class Factor>
__global__ void scaleKernel(Factor factor, Matrix x, Matrix out) {
  waitForInputs();
  const Place at = placeIn(out);
  if (at.n <= 0) return;
  const Eight in = readEight(x, at.row, at.col, at.n);
  const float by = factor(at.row);
  float v[kEight];
  toF32(in, x.dtype, v);
  DCC_UNROLL for (int i = 0; i < kEight; ++i) v[i] *= by;
  writeEight(out, at.row, at.col, at.n, fromF32(v, out.dtype));
}

struct Add {
  __device__ float operator()(float x, float y) const { return x + y; }
};
struct Mul {
  __device__ float operator()(float x, float y) const { return x * y; }
};
struct SoftCap {
  float cap;
  __device__ float operator()(float x) const { return cap * tanhf(__fdividef(x, cap)); }
};
template <plan::Function kFunction>
struct Activation {
  __device__ float operator()(float x) const { return applyFunction(kFunction, x); }
  __device__ float operator()(float gate, float up) const {
    return applyFunction(kFunction, gate) * up;
  }
};

struct OneFactor {
  float value;
  __device__ float operator()(int64_t) const { return value; }
};
struct FactorOfRow {
  Matrix factors;
  __device__ float operator()(int64_t row) const { return load(factors, row, 0); }
};
struct Temperature {
  const int32_t* positions;
  float scale;
  int64_t floor;
  __device__ float operator()(int64_t row) const {
    const auto steps = static_cast<float>((int64_t{positions[row]} + 1) / floor);
    return log1pf(steps) * scale + 1;
  }
};

template <class F>
void unary(const Launch& on, F f, const Matrix& x, const Matrix& out) {
  launchOverEights(on, out, unaryKernel<F>, f, x, out);
}
template <class F>
void binary(const Launch& on, F f, const Matrix& x, const Matrix& y, const Matrix& out) {
  withTypes(
      [&](auto types) {
        launchOverEights(on, out, binaryKernel<F, decltype(types)>, f, x, y, out);
      },
      x, y, out);
}
template <class Factor>
void scaleBy(const Launch& on, Factor factor, const Matrix& x, const Matrix& out) {
  launchOverEights(on, out, scaleKernel<Factor>, factor, x, out);
}

}  // namespace

void add(const Launch& on, const Matrix& x, const Matrix& y, const Matrix& out) {
  binary(on, Add(), x, y, out);
}

void mul(const Launch& on, const Matrix& x, const Matrix& y, const Matrix& out) {
  binary(on, Mul(), x, y, out);
}

void addBias(const Launch& on, const Matrix& x, const float* bias, const Matrix& out) {
  // The bias as a matrix whose rows are all the same; only read.
  auto* data = reinterpret_cast<std::byte*>(const_cast<float*>(bias));
  binary(on, Add(), x, Matrix{data, DType::kF32, x.rows, x.cols, 0}, out);
}

void activation(const Launch& on, plan::Function function, const Matrix& x, const Matrix& out) {
  withFunction(function, [&](auto f) { unary(on, Activation<f()>(), x, out); });
}

void gatedActivation(const Launch& on, plan::Function function, const Matrix& gate,
                     const Matrix& up, const Matrix& out) {
  withFunction(function, [&](auto f) { binary(on, Activation<f()>(), gate, up, out); });
}

void scale(const Launch& on, const Matrix& x, float factor, const Matrix& out) {
  scaleBy(on, OneFactor{factor}, x, out);
}

void scaleRows(const Launch& on, const Matrix& x, const Matrix& factors, const Matrix& out) {
  scaleBy(on, FactorOfRow{factors}, x, out);
}

void softCap(const Launch& on, const Matrix& x, float cap, const Matrix& out) {
  unary(on, SoftCap{cap}, x, out);
}

void temperature(const Launch& on, const Matrix& x, const int32_t* positions, float scale,
                 int64_t floor, const Matrix& out) {
  scaleBy(on, Temperature{positions, scale, floor}, x, out);
}

}  // namespace dcc::cuda
