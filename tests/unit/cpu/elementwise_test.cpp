// Norms and everything that works element by element.
#include "cpu_test_support.h"

namespace dcc::cpu {
namespace {

using plan::Function;
using testing::TestMatrix;
using Elementwise = testing::PerSetting;

struct Shape {
  int64_t rows, cols, gap;
};
constexpr Shape kShapes[] = {{1, 1, 0}, {3, 7, 2}, {5, 64, 0}, {2, 1500, 9}, {40, 333, 1}};

double exact(Function f, double x) {
  switch (f) {
    case Function::kSilu:
      return x / (1 + std::exp(-x));
    case Function::kGelu:
      return x / 2 * std::erfc(-x / std::sqrt(2.0));
    case Function::kGeluTanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Function::kRelu:
      return x > 0 ? x : 0;
    case Function::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Function::kTanh:
      return std::tanh(x);
    case Function::kRelu2:
      return x > 0 ? x * x : 0;
  }
  return 0;
}
constexpr Function kFunctions[] = {Function::kSilu, Function::kGelu,    Function::kGeluTanh,
                                   Function::kRelu, Function::kSigmoid, Function::kTanh,
                                   Function::kRelu2};

TEST_P(Elementwise, AddAndMul) {
  for (const Shape& s : kShapes) {
    for (DType left : testing::kFloats) {
      for (DType to : testing::kFloats) {
        const auto x = TestMatrix(s.rows, s.cols, left, s.gap).random(1);
        const auto y = TestMatrix(s.rows, s.cols, DType::kF32, 3).random(2);
        TestMatrix sum(s.rows, s.cols, to, s.gap), product(s.rows, s.cols, to);
        add(pool, x.view(), y.view(), sum.view());
        mul(pool, x.view(), y.view(), product.view());
        const auto plus = [&](int64_t r, int64_t c) { return x.at(r, c) + y.at(r, c); };
        const auto times = [&](int64_t r, int64_t c) { return x.at(r, c) * y.at(r, c); };
        testing::expectNear(sum, plus, 1e-7, 1e-7);
        testing::expectNear(product, times, 1e-7, 1e-7);
      }
    }
  }
}

TEST_P(Elementwise, AddInPlace) {
  for (const Shape& s : kShapes) {
    auto x = TestMatrix(s.rows, s.cols, DType::kF32, s.gap).random(3);
    const auto before = x;
    const auto y = TestMatrix(s.rows, s.cols).random(4);
    const auto bias = TestMatrix(1, s.cols).random(5);
    add(pool, x.view(), y.view(), x.view());
    addBias(pool, x.view(), bias.f32(), x.view());
    testing::expectNear(
        x, [&](int64_t r, int64_t c) { return before.at(r, c) + y.at(r, c) + bias.at(0, c); }, 1e-7,
        2e-7);
  }
}

TEST_P(Elementwise, Activations) {
  for (Function f : kFunctions) {
    for (const Shape& s : kShapes) {
      for (DType type : testing::kFloats) {
        const auto x = TestMatrix(s.rows, s.cols, type, s.gap).random(6, 12);
        const auto up = TestMatrix(s.rows, s.cols, type).random(7, 3);
        TestMatrix out(s.rows, s.cols, type, 1), gated(s.rows, s.cols, type, s.gap);
        activation(pool, f, x.view(), out.view());
        gatedActivation(pool, f, x.view(), up.view(), gated.view());
        const auto one = [&](int64_t r, int64_t c) { return exact(f, x.at(r, c)); };
        const auto both = [&](int64_t r, int64_t c) { return exact(f, x.at(r, c)) * up.at(r, c); };
        testing::expectNear(out, one, 1e-6, 1e-7);
        testing::expectNear(gated, both, 1e-6, 3e-7);
      }
    }
  }
}

// As far as squares are f32: finite, right to a few roundings, exact where the limit is reached.
TEST_P(Elementwise, ActivationsFarOut) {
  std::vector<float> values;
  for (float x = 1e-30f; x < 1e19f; x *= 1.37f) values.insert(values.end(), {x, -x});
  TestMatrix x(1, static_cast<int64_t>(values.size())), out(1, static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) x.set(0, i, values[i]);
  for (Function f : kFunctions) {
    if (f == Function::kRelu2) continue;  // whose squares are beyond f32
    activation(pool, f, x.view(), out.view());
    testing::expectNear(
        out, [&](int64_t r, int64_t c) { return exact(f, x.at(r, c)); }, 4e-7, 1e-7);
  }
}

TEST_P(Elementwise, GatedInPlaceOfEither) {
  const auto gate = TestMatrix(3, 100).random(8), up = TestMatrix(3, 100).random(9);
  TestMatrix want(3, 100), over_gate = gate, over_up = up;
  gatedActivation(pool, Function::kSilu, gate.view(), up.view(), want.view());
  gatedActivation(pool, Function::kSilu, over_gate.view(), up.view(), over_gate.view());
  gatedActivation(pool, Function::kSilu, gate.view(), over_up.view(), over_up.view());
  EXPECT_TRUE(want == over_gate);
  EXPECT_TRUE(want == over_up);
}

// 1 / root mean square of each row.
std::vector<double> factors(const TestMatrix& x, double eps) {
  std::vector<double> result;
  for (int64_t r = 0; r < x.view().rows; ++r) {
    double squares = 0;
    for (int64_t c = 0; c < x.view().cols; ++c) squares += x.at(r, c) * x.at(r, c);
    result.push_back(1 / std::sqrt(squares / static_cast<double>(x.view().cols) + eps));
  }
  return result;
}

TEST_P(Elementwise, RmsNorm) {
  for (const Shape& s : kShapes) {
    for (DType type : testing::kFloats) {
      const auto x = TestMatrix(s.rows, s.cols, type, s.gap).random(10, 4);
      const auto w = TestMatrix(1, s.cols).random(11);
      TestMatrix out(s.rows, s.cols, type, 2);
      rmsNorm(pool, x.view(), w.f32(), 1e-3f, s.cols, out.view());
      const auto factor = factors(x, 1e-3);
      testing::expectNear(
          out, [&](int64_t r, int64_t c) { return x.at(r, c) * factor[r] * w.at(0, c); }, 2e-6,
          1e-7);
    }
  }
}

// Every head by itself, in place, is what each would be as a matrix of its own.
TEST_P(Elementwise, RmsNormOfHeads) {
  constexpr int64_t kRows = 5, kHeads = 3, kHead = 24;
  auto x = TestMatrix(kRows, kHeads * kHead, DType::kF32, 7).random(15, 4);
  const auto before = x;
  const auto w = TestMatrix(1, kHead).random(16);
  rmsNorm(pool, x.view(), w.f32(), 1e-6f, kHead, x.view());
  for (int64_t h = 0; h < kHeads; ++h) {
    TestMatrix head(kRows, kHead);
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t c = 0; c < kHead; ++c) head.set(r, c, before.at(r, h * kHead + c));
    }
    const auto factor = factors(head, 1e-6);
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t c = 0; c < kHead; ++c) {
        const double want = head.at(r, c) * factor[r] * w.at(0, c);
        EXPECT_NEAR(x.at(r, h * kHead + c), want, 2e-6 * std::abs(want) + 1e-7);
      }
    }
  }
}

// The sum in place of x, as plans have it; the norm is that of the sum as stored.
TEST_P(Elementwise, AddRmsNorm) {
  for (const Shape& s : kShapes) {
    for (DType type : testing::kFloats) {
      auto x = TestMatrix(s.rows, s.cols, type, s.gap).random(12, 4);
      const auto before = x;
      const auto y = TestMatrix(s.rows, s.cols).random(13);
      const auto w = TestMatrix(1, s.cols).random(14);
      TestMatrix out(s.rows, s.cols, type);
      addRmsNorm(pool, x.view(), y.view(), w.f32(), 1e-5f, x.view(), out.view());
      testing::expectNear(
          x, [&](int64_t r, int64_t c) { return before.at(r, c) + y.at(r, c); }, 1e-7, 1e-6);
      const auto factor = factors(x, 1e-5);
      testing::expectNear(
          out, [&](int64_t r, int64_t c) { return x.at(r, c) * factor[r] * w.at(0, c); }, 2e-6,
          1e-7);
    }
  }
}

DCC_PER_SETTING(Elementwise);

}  // namespace
}  // namespace dcc::cpu
