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

TEST_P(Elementwise, Scale) {
  for (const Shape& s : kShapes) {
    for (DType type : testing::kFloats) {
      const auto x = TestMatrix(s.rows, s.cols, type, s.gap).random(15, 4);
      const auto by = TestMatrix(s.rows, 1, type, 2).random(16);
      auto in_place = x;
      TestMatrix out(s.rows, s.cols, type, 1), rows(s.rows, s.cols, type);
      scale(pool, x.view(), -0.75f, out.view());
      scale(pool, x.view(), -0.75f, in_place.view());
      scaleRows(pool, x.view(), by.view(), rows.view());
      const auto all = [&](int64_t r, int64_t c) { return x.at(r, c) * -0.75; };
      testing::expectNear(out, all, 1e-7, 0);
      testing::expectNear(in_place, all, 1e-7, 0);
      testing::expectNear(
          rows, [&](int64_t r, int64_t c) { return x.at(r, c) * by.at(r, 0); }, 1e-7, 0);
    }
  }
}

TEST_P(Elementwise, SoftCap) {
  for (const Shape& s : kShapes) {
    for (DType type : testing::kFloats) {
      const auto x = TestMatrix(s.rows, s.cols, type, s.gap).random(17, 90);
      auto in_place = x;
      TestMatrix out(s.rows, s.cols, type, 1);
      softCap(pool, x.view(), 30, out.view());
      softCap(pool, x.view(), 30, in_place.view());
      const auto want = [&](int64_t r, int64_t c) { return 30 * std::tanh(x.at(r, c) / 30); };
      testing::expectNear(out, want, 1e-6, 1e-7);
      testing::expectNear(in_place, want, 1e-6, 1e-7);
    }
  }
}

TEST_P(Elementwise, Temperature) {
  const int32_t positions[] = {0, 6, 7, 100, 1 << 20};
  for (DType type : testing::kFloats) {
    const auto x = TestMatrix(5, 77, type, 3).random(18, 2);
    TestMatrix out(5, 77, type, 1);
    temperature(pool, x.view(), positions, 0.1f, 8, out.view());
    const auto want = [&](int64_t r, int64_t c) {
      return x.at(r, c) * (1 + 0.1 * std::log(1 + std::floor((positions[r] + 1) / 8)));
    };
    testing::expectNear(out, want, 3e-7, 0);
  }
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

struct Block {
  int64_t head_dim, heads;
};
constexpr Block kBlocks[] = {{1, 1}, {7, 3}, {64, 1}, {100, 2}, {1500, 1}};

// Mean and 1 / standard deviation of columns [begin, begin + n) of a row.
std::pair<double, double> moments(const TestMatrix& x, int64_t r, int64_t begin, int64_t n,
                                  double eps) {
  double mean = 0, squares = 0;
  for (int64_t c = begin; c < begin + n; ++c) mean += x.at(r, c) / static_cast<double>(n);
  for (int64_t c = begin; c < begin + n; ++c) squares += std::pow(x.at(r, c) - mean, 2);
  return {mean, 1 / std::sqrt(squares / static_cast<double>(n) + eps)};
}

// Of a row as one block, and of every head with weights of its own; far from zero, where a variance
// as a difference of squares would be lost.
TEST_P(Elementwise, LayerNorm) {
  for (const Block& b : kBlocks) {
    const int64_t cols = b.head_dim * b.heads;
    for (DType type : testing::kFloats) {
      auto x = TestMatrix(6, cols, type, 2).random(19, 2);
      for (int64_t r = 0; r < 6; ++r) {
        for (int64_t c = 0; c < cols; ++c) x.set(r, c, static_cast<float>(x.at(r, c)) + 30);
      }
      const auto w = TestMatrix(1, cols).random(20), bias = TestMatrix(1, cols).random(21);
      TestMatrix out(6, cols, type, 1), plain(6, cols, type);
      layerNorm(pool, x.view(), w.f32(), bias.f32(), 1e-3f, b.head_dim, out.view());
      layerNorm(pool, x.view(), w.f32(), nullptr, 1e-3f, b.head_dim, plain.view());
      std::vector<double> wanted;
      for (int64_t block = 0; block < 6 * b.heads; ++block) {
        const int64_t r = block / b.heads, first = block % b.heads * b.head_dim;
        const auto [mean, factor] = moments(x, r, first, b.head_dim, 1e-3);
        for (int64_t c = first; c < first + b.head_dim; ++c) {
          wanted.push_back((x.at(r, c) - mean) * factor * w.at(0, c));
        }
      }
      const auto want = [&](int64_t r, int64_t c) { return wanted[r * cols + c]; };
      // The mean is rounded: a unit of 30 in 2^24, grown by the factor of up to 32.
      testing::expectNear(plain, want, 1e-5, 1e-4);
      testing::expectNear(
          out, [&](int64_t r, int64_t c) { return want(r, c) + bias.at(0, c); }, 1e-5, 1e-4);
    }
  }
}

TEST_P(Elementwise, UnitNorm) {
  for (const Block& b : kBlocks) {
    const auto x = TestMatrix(4, b.head_dim * b.heads, DType::kF32, 1).random(22, 3);
    TestMatrix out(4, b.head_dim * b.heads);
    unitNorm(pool, x.view(), 1e-5f, b.head_dim, out.view());
    const auto want = [&](int64_t r, int64_t c) {
      double squares = 0;
      const int64_t begin = c / b.head_dim * b.head_dim;
      for (int64_t i = begin; i < begin + b.head_dim; ++i) squares += x.at(r, i) * x.at(r, i);
      return x.at(r, c) / std::sqrt(squares / static_cast<double>(b.head_dim) + 1e-5);
    };
    testing::expectNear(out, want, 2e-6, 1e-7);
  }
}

DCC_PER_SETTING(Elementwise);

}  // namespace
}  // namespace dcc::cpu
