#include "cuda_test_support.h"

namespace dcc::cuda {
namespace {

using testing::DeviceMatrix;
using testing::TestMatrix;
using Elementwise = testing::OnDevice;

// Whole rows of 16-byte pieces, ragged ones, rows that begin at odd addresses, more than a block.
struct Shape {
  int64_t rows, cols, gap;
};
constexpr Shape kShapes[] = {{1, 1, 0}, {3, 7, 2}, {5, 64, 0}, {2, 1500, 9}};

// `reference` and `kernel` on x [type, s] and y (f32, rows three elements apart).
template <class Reference, class Kernel>
void compare(Reference&& reference, Kernel&& kernel, float range, double largest,
             double roundings) {
  for (const Shape& s : kShapes) {
    for (DType from : testing::kFloats) {
      for (DType to : testing::kFloats) {
        const auto x = TestMatrix(s.rows, s.cols, from, s.gap).random(1, range);
        const auto y = TestMatrix(s.rows, s.cols, DType::kF32, 3).random(2);
        TestMatrix expected(s.rows, s.cols, to, s.gap);
        const DeviceMatrix dx(x), dy(y), out(expected);
        reference(x.view(), y.view(), expected.view());
        kernel(dx.view(), dy.view(), out.view());
        testing::expectClose(out, expected, largest, roundings);
      }
    }
  }
}

TEST_F(Elementwise, Add) {
  compare([&](auto&... m) { cpu::add(pool, m...); }, [&](auto... m) { add(on, m...); }, 1, 2, 1);
}

TEST_F(Elementwise, Mul) {
  compare([&](auto&... m) { cpu::mul(pool, m...); }, [&](auto... m) { mul(on, m...); }, 4, 4, 1);
}

TEST_F(Elementwise, InPlace) {
  for (DType type : testing::kFloats) {
    const auto x = TestMatrix(3, 40, type, 1).random(1), y = TestMatrix(3, 40, type).random(2);
    TestMatrix expected(3, 40, type, 1);
    const DeviceMatrix dx(x), dy(y);
    cpu::add(pool, x.view(), y.view(), expected.view());
    add(on, dx.view(), dy.view(), dx.view());
    testing::expectClose(dx, expected, 2, 1);
  }
}

TEST_F(Elementwise, AddBias) {
  const DeviceMatrix bias(TestMatrix(1, 1500).random(3));
  const TestMatrix host = bias.download();
  compare([&](auto& x, auto&, auto& out) { cpu::addBias(pool, x, host.f32(), out); },
          [&](auto x, auto, auto out) { addBias(on, x, bias.f32(), out); }, 1, 2, 1);
}

TEST_F(Elementwise, Activations) {
  for (int64_t number = 0; number < plan::kFunctions; ++number) {
    const auto function = static_cast<plan::Function>(number);
    // Up to 9^2; where the numbers are large the functions are exact.
    compare([&](auto& x, auto&, auto& out) { cpu::activation(pool, function, x, out); },
            [&](auto x, auto, auto out) { activation(on, function, x, out); }, 9,
            function == plan::Function::kRelu2 ? 81 : 9, 2);
    compare([&](auto&... m) { cpu::gatedActivation(pool, function, m...); },
            [&](auto... m) { gatedActivation(on, function, m...); }, 9,
            function == plan::Function::kRelu2 ? 81 : 9, 2);
  }
}

// Where exponentials overflow.
TEST_F(Elementwise, ActivationsOfLargeNumbers) {
  for (int64_t number = 0; number < plan::kFunctions; ++number) {
    const auto function = static_cast<plan::Function>(number);
    TestMatrix x(1, 8);
    const float values[] = {-3e4f, -200, -89, -20, 0, 20, 200, 3e4f};
    for (int c = 0; c < 8; ++c) x.set(0, c, values[c]);
    TestMatrix expected(1, 8);
    const DeviceMatrix dx(x), out(expected);
    cpu::activation(pool, function, x.view(), expected.view());
    activation(on, function, dx.view(), out.view());
    const TestMatrix got = out.download();
    for (int c = 0; c < 8; ++c) {
      ASSERT_NEAR(got.at(0, c), expected.at(0, c), 1e-6 * std::abs(expected.at(0, c)) + 1e-7)
          << "function " << number << " of " << values[c];
    }
  }
}

TEST_F(Elementwise, Scale) {
  compare([&](auto& x, auto&, auto& out) { cpu::scale(pool, x, 0.3f, out); },
          [&](auto x, auto, auto out) { scale(on, x, 0.3f, out); }, 3, 1, 1);
}

TEST_F(Elementwise, ScaleRows) {
  compare([&](auto& x, auto& y, auto& out) { cpu::scaleRows(pool, x, y, out); },
          [&](auto x, auto y, auto out) { scaleRows(on, x, y, out); }, 3, 3, 1);
}

TEST_F(Elementwise, SoftCap) {
  compare([&](auto& x, auto&, auto& out) { cpu::softCap(pool, x, 2.5f, out); },
          [&](auto x, auto, auto out) { softCap(on, x, 2.5f, out); }, 9, 2.5, 4);
}

TEST_F(Elementwise, Temperature) {
  const std::vector<int32_t> positions = {8190, 0, 8191, 131072, 7};
  const testing::DeviceBytes device(positions);
  compare(
      [&](auto& x, auto&, auto& out) {
        cpu::temperature(pool, x, positions.data(), 0.1f, 8192, out);
      },
      [&](auto x, auto, auto out) { temperature(on, x, device.as<int32_t>(), 0.1f, 8192, out); }, 1,
      1.4, 1);
}

TEST_F(Elementwise, Copy) {
  compare(
      [&](auto& x, auto&, auto& out) {
        for (int64_t r = 0; r < x.rows; ++r) cpu::copyRow(x, r, 0, out, r, 0, x.cols);
      },
      [&](auto x, auto, auto out) { copy(on, x, out); }, 1, 1, 0);
}

}  // namespace
}  // namespace dcc::cuda
