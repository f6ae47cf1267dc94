// Products against the CPU's, whose tests compare with double precision.
#include <cmath>
#include <vector>

#include "cuda_test_support.h"
#include "runtime/backends/cpu/gemm.h"
#include "runtime/plan/workspace.h"

namespace dcc::cuda {
namespace {

using testing::DeviceMatrix;
using testing::TestMatrix;

// out[rows, n] of sums over k; `gap` elements between the rows of all matrices.
struct Shape {
  int64_t rows, n, k, gap;
};

class Products : public testing::OnDevice {
 protected:
  TestMatrix product(const TestMatrix& a, const TestMatrix& weight, const float* bias, DType type) {
    const Matrix& in = a.view();
    const Matrix& w = weight.view();
    TestMatrix out(in.rows, w.rows, type);
    const cpu::testing::Scratch scratch(
        plan::gemmWorkspace(in.rows, in.cols, 1, in.dtype, type, 1).bytes());
    cpu::gemm(pool, in, {w.data, w.dtype, w.rows, w.cols, w.stride}, bias, 1, out.view(),
              scratch.data());
    return out;
  }
  // The same of function(a gate') * (a up'), the weight's halves.
  TestMatrix gated(const TestMatrix& a, const TestMatrix& weight, plan::Function function,
                   DType type) {
    const TestMatrix both = product(a, weight, nullptr, DType::kF32);
    Matrix gate = both.view(), up = both.view();
    gate.cols = up.cols = gate.cols / 2;
    up.data = gate.at(0, gate.cols);
    TestMatrix out(gate.rows, gate.cols, type);
    cpu::gatedActivation(pool, function, gate, up, out.view());
    return out;
  }
  static WeightView weightOf(const DeviceMatrix& m) {
    const Matrix w = m.view();
    return {w.data, w.dtype, w.rows, w.cols, w.stride};
  }
  // Room for `expected`, with other guards between its rows.
  static TestMatrix like(const TestMatrix& expected, int64_t gap) {
    const Matrix& m = expected.view();
    return {m.rows, m.cols, m.dtype, gap};
  }
  // Both sides sum k products below 1, each in an order of its own: the sums grow as sqrt(k), and
  // so does the number of roundings that don't cancel.
  static void expectProduct(const DeviceMatrix& out, const TestMatrix& expected, int64_t k) {
    const double scale = std::sqrt(static_cast<double>(k)) + 1;
    const bool f32 = expected.view().dtype == DType::kF32;
    testing::expectClose(out, expected, scale, f32 ? 4 + scale : 1.01);
  }
};

// Of every pair of types to f32, and to 16-bit types.
template <class Body>
void forTypes(Body&& body) {
  for (DType left : testing::kFloats) {
    for (DType right : testing::kFloats) body(left, right, DType::kF32);
  }
  body(DType::kBF16, DType::kBF16, DType::kBF16);
  body(DType::kF16, DType::kF16, DType::kF16);
  body(DType::kF32, DType::kBF16, DType::kBF16);
  body(DType::kF32, DType::kF32, DType::kF16);
}

// Rows as a GEMV takes them; k shorter than a vector, not of whole vectors, longer than what is
// under way at once; n ragged, and enough of it for each size of tiles; rows that 16 bytes cannot
// read.
constexpr Shape kFew[] = {{1, 1, 1, 0},     {1, 13, 64, 8},  {1, 3, 4104, 0}, {2, 9, 1040, 0},
                          {3, 5, 264, 3},   {4, 18, 136, 8}, {5, 7, 100, 8},  {8, 34, 96, 16},
                          {6, 21, 1160, 0}, {7, 530, 40, 8}, {5, 70, 64, 0}};

TEST_F(Products, Gemv) {
  forTypes([&](DType left, DType right, DType to) {
    for (const Shape& s : kFew) {
      SCOPED_TRACE(::testing::Message()
                   << name(left) << " x " << name(right) << ", " << s.rows << " rows, k = " << s.k);
      const auto a = TestMatrix(s.rows, s.k, left, s.gap).random(1);
      const auto weight = TestMatrix(s.n, s.k, right, s.gap).random(2);
      const auto bias = TestMatrix(1, s.n).random(3);
      const TestMatrix expected = product(a, weight, bias.f32(), to);
      const DeviceMatrix da(a), dw(weight), db(bias), out(like(expected, s.gap));
      gemv(on, da.view(), weightOf(dw), db.f32(), out.view());
      expectProduct(out, expected, s.k);
    }
  });
}

TEST_F(Products, GatedGemv) {
  forTypes([&](DType left, DType right, DType to) {
    for (const Shape& s : kFew) {
      SCOPED_TRACE(::testing::Message()
                   << name(left) << " x " << name(right) << ", " << s.rows << " rows, k = " << s.k);
      const auto a = TestMatrix(s.rows, s.k, left, s.gap).random(1);
      const auto weight =
          TestMatrix(2 * s.n, s.k, right, s.gap).random(2, 1 / std::sqrt(static_cast<float>(s.k)));
      const TestMatrix expected = gated(a, weight, plan::Function::kGeluTanh, to);
      const DeviceMatrix da(a), dw(weight), out(like(expected, s.gap));
      gatedGemv(on, da.view(), weightOf(dw), plan::Function::kGeluTanh, out.view());
      expectProduct(out, expected, 1);
    }
  });
}

TEST_F(Products, EveryFunctionGates) {
  const auto a = TestMatrix(1, 16).random(1);
  const auto weight = TestMatrix(14, 16).random(2);
  for (int64_t f = 0; f < plan::kFunctions; ++f) {
    const auto function = static_cast<plan::Function>(f);
    const TestMatrix expected = gated(a, weight, function, DType::kF32);
    const DeviceMatrix da(a), dw(weight), out(like(expected, 0));
    gatedGemv(on, da.view(), weightOf(dw), function, out.view());
    testing::expectClose(out, expected, 16);
  }
}

TEST_F(Products, Tiled) {
  constexpr Shape kShapes[] = {{1, 1, 1, 0},    {3, 70, 17, 1},    {65, 64, 40, 8},
                               {130, 9, 64, 0}, {35, 150, 168, 0}, {140, 20, 8, 8}};
  forTypes([&](DType left, DType right, DType to) {
    for (const Shape& s : kShapes) {
      SCOPED_TRACE(::testing::Message()
                   << name(left) << " x " << name(right) << ", " << s.rows << " rows, k = " << s.k);
      const auto a = TestMatrix(s.rows, s.k, left, s.gap).random(1);
      const auto weight = TestMatrix(s.n, s.k, right, s.gap).random(2);
      const auto bias = TestMatrix(1, s.n).random(3);
      const bool biased = s.gap > 0;
      const TestMatrix expected = product(a, weight, biased ? bias.f32() : nullptr, to);
      const DeviceMatrix da(a), dw(weight), db(bias), out(like(expected, s.gap));
      tiledGemm(on, da.view(), weightOf(dw), biased ? db.f32() : nullptr, out.view());
      expectProduct(out, expected, s.k);
    }
  });
}

}  // namespace
}  // namespace dcc::cuda
