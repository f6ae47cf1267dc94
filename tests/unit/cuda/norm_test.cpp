#include "cuda_test_support.h"

namespace dcc::cuda {
namespace {

using testing::DeviceMatrix;
using testing::TestMatrix;
using Norm = testing::OnDevice;

// Columns of a row and of a norm: parts of a warp, a warp, blocks of one and more eights a thread.
struct Shape {
  int64_t rows, cols, head_dim, gap;
};
constexpr Shape kShapes[] = {{3, 5, 5, 0},         {2, 3 * 20, 20, 3},  {2, 5 * 64, 64, 0},
                             {1, 2 * 256, 256, 8}, {3, 777, 777, 1},    {1, 4200, 4200, 0},
                             {1, 9000, 9000, 0},   {1, 16500, 16500, 4}};
constexpr float kEps = 1e-5f;

// Calls `body` for every shape and pair of types.
template <class Body>
void forShapes(Body&& body) {
  for (const Shape& s : kShapes) {
    for (DType from : testing::kFloats) {
      // All pairs of types at a small shape; the path of the others does not depend on them.
      for (DType to : testing::kFloats) {
        if (s.cols < 100 || from == to) body(s, from, to);
      }
    }
  }
}

TEST_F(Norm, Rms) {
  forShapes([&](const Shape& s, DType from, DType to) {
    const auto x = TestMatrix(s.rows, s.cols, from, s.gap).random(1, 3);
    const auto weight = TestMatrix(1, s.head_dim).random(2, 2);
    TestMatrix expected(s.rows, s.cols, to, s.gap + 1);
    const DeviceMatrix dx(x), dw(weight), out(expected);
    cpu::rmsNorm(pool, x.view(), weight.f32(), kEps, s.head_dim, expected.view());
    rmsNorm(on, dx.view(), dw.f32(), kEps, s.head_dim, out.view());
    testing::expectClose(out, expected, 4, 4);
    cpu::unitNorm(pool, x.view(), kEps, s.head_dim, expected.view());
    unitNorm(on, dx.view(), kEps, s.head_dim, out.view());
    testing::expectClose(out, expected, 2, 4);
  });
}

TEST_F(Norm, AddRms) {
  forShapes([&](const Shape& s, DType from, DType to) {
    const auto x = TestMatrix(s.rows, s.cols, from, s.gap).random(1, 3);
    const auto y = TestMatrix(s.rows, s.cols, to, s.gap).random(3);
    const auto weight = TestMatrix(1, s.cols).random(2, 2);
    TestMatrix sum(s.rows, s.cols, to, s.gap), expected(s.rows, s.cols, from, s.gap);
    const DeviceMatrix dx(x), dy(y), dw(weight), dsum(sum), out(expected);
    cpu::addRmsNorm(pool, x.view(), y.view(), weight.f32(), kEps, sum.view(), expected.view());
    addRmsNorm(on, dx.view(), dy.view(), dw.f32(), kEps, dsum.view(), out.view());
    testing::expectClose(dsum, sum, 4, 1);
    testing::expectClose(out, expected, 4, 4);
  });
}

// As layers call it: the sum replaces what was added to.
TEST_F(Norm, AddRmsInPlace) {
  for (DType type : testing::kFloats) {
    const auto x = TestMatrix(2, 520, type).random(1), y = TestMatrix(2, 520, type).random(3);
    const auto weight = TestMatrix(1, 520).random(2);
    TestMatrix sum(2, 520, type), expected(2, 520, type);
    const DeviceMatrix dx(x), dy(y), dw(weight);
    cpu::addRmsNorm(pool, x.view(), y.view(), weight.f32(), kEps, sum.view(), expected.view());
    addRmsNorm(on, dx.view(), dy.view(), dw.f32(), kEps, dx.view(), dy.view());
    testing::expectClose(dx, sum, 2, 1);
    testing::expectClose(dy, expected, 2, 4);
  }
}

TEST_F(Norm, Layer) {
  forShapes([&](const Shape& s, DType from, DType to) {
    // Far from 0, where a mean of squares would be of no use.
    auto x = TestMatrix(s.rows, s.cols, from, s.gap).random(1);
    if (from == DType::kF32) {
      for (int64_t r = 0; r < s.rows; ++r) {
        for (int64_t c = 0; c < s.cols; ++c) x.set(r, c, static_cast<float>(x.at(r, c)) + 30);
      }
    }
    const auto weight = TestMatrix(1, s.cols).random(2), bias = TestMatrix(1, s.cols).random(3);
    const DeviceMatrix dx(x), dw(weight), db(bias);
    for (bool biased : {false, true}) {
      TestMatrix expected(s.rows, s.cols, to, s.gap + 1);
      const DeviceMatrix out(expected);
      cpu::layerNorm(pool, x.view(), weight.f32(), biased ? bias.f32() : nullptr, kEps, s.head_dim,
                     expected.view());
      layerNorm(on, dx.view(), dw.f32(), biased ? db.f32() : nullptr, kEps, s.head_dim, out.view());
      // The mean of numbers near 30 is known to an ulp or two of 30: 2^-19 each.
      testing::expectClose(out, expected, 3, from == DType::kF32 && to == DType::kF32 ? 128 : 4);
    }
  });
}

}  // namespace
}  // namespace dcc::cuda
