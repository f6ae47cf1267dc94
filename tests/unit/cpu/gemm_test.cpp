#include "runtime/backends/cpu/gemm.h"

#include "cpu_test_support.h"
#include "runtime/collectives/sum.h"
#include "runtime/plan/workspace.h"

namespace dcc::cpu {
namespace {

using testing::TestMatrix;

class Gemm : public testing::PerSetting {
 protected:
  void multiply(const Matrix& a, const WeightView& w, const float* bias, const Matrix& out,
                int64_t chunks = 1) {
    multiply(pool, a, w, bias, out, chunks);
  }
  static void multiply(ThreadPool& pool, const Matrix& a, const WeightView& w, const float* bias,
                       const Matrix& out, int64_t chunks = 1) {
    testing::Scratch scratch(
        plan::gemmWorkspace(a.rows, w.cols, chunks, a.dtype, out.dtype, pool.threads()).bytes());
    gemm(pool, a, w, bias, chunks, out, scratch.data());
  }
};

double dot(const TestMatrix& a, int64_t m, const TestMatrix& w, int64_t n) {
  double sum = 0;
  for (int64_t k = 0; k < a.view().cols; ++k) sum += a.at(m, k) * w.at(n, k);
  return sum;
}

void expectProduct(const TestMatrix& out, const TestMatrix& a, const TestMatrix& w,
                   const TestMatrix* bias) {
  // Every product carries one f32 rounding, and partial sums stay far below sqrt(k) * range^2.
  const double absolute = 4e-7 * std::sqrt(static_cast<double>(a.view().cols));
  testing::expectNear(
      out, [&](int64_t m, int64_t n) { return dot(a, m, w, n) + (bias ? bias->at(0, n) : 0); },
      1e-6, absolute);
}

TEST_P(Gemm, EveryTypeOfWeight) {
  for (DType type : testing::kFloats) {
    for (int64_t rows : {1, 2, 3, 4, 5, 17, 121}) {
      const auto a = TestMatrix(rows, 70, DType::kF32, 3).random(1);
      const auto w = TestMatrix(37, 70, type).random(2);
      TestMatrix out(rows, 37, DType::kF32, 5);
      multiply(a.view(), w.weight(), nullptr, out.view());
      expectProduct(out, a, w, nullptr);
    }
  }
}

// k around the lengths at which it is cut (256, 512 or 1024 by target), and shorter than a vector.
TEST_P(Gemm, OddSizes) {
  for (int64_t k : {1, 3, 16, 255, 257, 1023, 1024, 1031, 2100}) {
    for (int64_t n : {1, 8, 13}) {
      for (int64_t rows : {1, 7}) {
        const auto a = TestMatrix(rows, k).random(3);
        const auto w = TestMatrix(n, k, DType::kBF16).random(4);
        const auto bias = TestMatrix(1, n).random(5);
        TestMatrix out(rows, n);
        multiply(a.view(), w.weight(), bias.f32(), out.view());
        expectProduct(out, a, w, &bias);
      }
    }
  }
}

TEST_P(Gemm, EveryTypeOfActivation) {
  for (DType in : testing::kFloats) {
    for (DType to : testing::kFloats) {
      for (int64_t rows : {1, 9}) {
        const auto a = TestMatrix(rows, 100, in, 4).random(6);
        const auto w = TestMatrix(210, 100, DType::kF16).random(7);
        const auto bias = TestMatrix(1, 210).random(8);
        TestMatrix out(rows, 210, to, 2);
        multiply(a.view(), w.weight(), bias.f32(), out.view());
        expectProduct(out, a, w, &bias);
      }
    }
  }
}

// bf16 with bf16: k around steps, parts and tiles, token and weight rows around blocks and tiles.
TEST_P(Gemm, Bf16) {
  const struct {
    int64_t rows, n, k;
  } shapes[] = {{1, 1, 1},      {1, 101, 2081}, {2, 15, 31},    {3, 33, 2048},
                {16, 33, 1024}, {17, 16, 2047}, {33, 1, 33},    {120, 13, 32},
                {121, 33, 95},  {128, 97, 2},   {129, 100, 65}, {130, 7, 2100}};
  for (const auto& [rows, n, k] : shapes) {
    const auto a = TestMatrix(rows, k, DType::kBF16, 1).random(11);
    const auto w = TestMatrix(n, k, DType::kBF16).random(12);
    const auto bias = TestMatrix(1, n).random(13);
    TestMatrix out(rows, n, DType::kF32, 3);
    multiply(a.view(), w.weight(), bias.f32(), out.view());
    expectProduct(out, a, w, &bias);
  }
}

// A token's result has the same bits alone, in any batch and on any number of threads.
TEST_P(Gemm, RowsDoNotDependOnEachOther) {
  for (const auto& [k, type] : {std::pair(72, DType::kF32), std::pair(1500, DType::kF32),
                                std::pair(72, DType::kBF16), std::pair(3100, DType::kBF16)}) {
    const auto a = TestMatrix(130, k, type).random(9);
    const auto w = TestMatrix(50, k, DType::kBF16).random(10);
    TestMatrix all(130, 50);
    multiply(a.view(), w.weight(), nullptr, all.view());
    for (int64_t first = 0, n = 1; first < 130; first += n, n = n % 7 + 1) {
      n = std::min(n, 130 - first);
      Matrix part = a.view();
      part.data = a.view().at(first, 0);
      part.rows = n;
      TestMatrix out(n, 50);
      multiply(part, w.weight(), nullptr, out.view());
      for (int64_t r = 0; r < n; ++r) {
        ASSERT_EQ(
            0, std::memcmp(out.view().at(r, 0), all.view().at(first + r, 0), 50 * sizeof(float)));
      }
    }
    ThreadPool other(2);
    TestMatrix again(130, 50);
    multiply(other, a.view(), w.weight(), nullptr, again.view());
    EXPECT_TRUE(again == all);
  }
}

// Columns [first, first + cols) of a view whose rows stay where they are.
template <class View>
View columns(const View& all, int64_t first, int64_t cols) {
  View some = all;
  some.data += first * static_cast<int64_t>(byteSize(all.dtype));
  some.cols = cols;
  return some;
}

// What ranks with some of the chunks get, added as a tree over ranks, has the bits of one product
// over all of them; and each rank's own weights lie without gaps.
TEST_P(Gemm, ChunksAreATreeThatRanksMayCut) {
  for (const auto& [in, type] :
       {std::pair(DType::kF32, DType::kF32), std::pair(DType::kF32, DType::kF16),
        std::pair(DType::kBF16, DType::kF32), std::pair(DType::kBF16, DType::kBF16)}) {
    for (int64_t k : {8, 136, 8 * 333}) {
      for (int64_t rows : {1, 5, 130}) {
        const int64_t n = 53;
        const auto a = TestMatrix(rows, k, in, 3).random(11);
        const auto w = TestMatrix(n, k, type).random(12);
        TestMatrix whole(rows, n);
        multiply(a.view(), w.weight(), nullptr, whole.view(), 8);
        expectProduct(whole, a, w, nullptr);
        for (int64_t ranks : {2, 4, 8}) {
          std::vector<TestMatrix> parts(ranks, TestMatrix(rows, n));
          std::vector<const float*> addends;
          for (int64_t r = 0; r < ranks; ++r) {
            const int64_t cols = k / ranks;
            TestMatrix own(n, cols, type);
            for (int64_t i = 0; i < n; ++i) {
              std::memcpy(own.view().at(i, 0), w.view().at(i, r * cols), cols * byteSize(type));
            }
            multiply(columns(a.view(), r * cols, cols), own.weight(), nullptr, parts[r].view(),
                     8 / ranks);
            addends.push_back(parts[r].f32());
          }
          TestMatrix sum(rows, n);
          sumInTree(addends, sum.view().f32(0), rows * n);
          EXPECT_TRUE(sum == whole)
              << name(type) << " k " << k << " rows " << rows << " ranks " << ranks;
        }
      }
    }
  }
}

TEST_P(Gemm, ChunksDoNotDependOnTheBatch) {
  const auto a = TestMatrix(130, 1504).random(13);
  const auto w = TestMatrix(110, 1504, DType::kBF16).random(14);
  const auto bias = TestMatrix(1, 110).random(15);
  TestMatrix all(130, 110, DType::kBF16, 2);
  multiply(a.view(), w.weight(), bias.f32(), all.view(), 8);
  for (int64_t first = 0, n = 1; first < 130; first += n, n = n % 31 + 5) {
    n = std::min(n, 130 - first);
    Matrix part = a.view();
    part.data = a.view().at(first, 0);
    part.rows = n;
    TestMatrix out(n, 110, DType::kBF16, 2);
    multiply(part, w.weight(), bias.f32(), out.view(), 8);
    for (int64_t r = 0; r < n; ++r) {
      ASSERT_EQ(0, std::memcmp(out.view().at(r, 0), all.view().at(first + r, 0), 110 * 2));
    }
  }
}

DCC_PER_SETTING(Gemm);

}  // namespace
}  // namespace dcc::cpu
