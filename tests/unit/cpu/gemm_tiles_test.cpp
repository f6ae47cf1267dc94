// Products by tiles, on emulated ones; on those of the machine gemm_test.cpp has them too.
#include "runtime/backends/cpu/gemm_tiles.h"

#include <limits>

#include "cpu_test_support.h"
#include "emulated_tiles.h"
#include "runtime/backends/cpu/amx_tiles.h"
#include "runtime/collectives/sum.h"

namespace dcc::cpu {
namespace {

using testing::TestMatrix;

void multiplyEmulated(const GemmBlock& g) { TileProduct<testing::EmulatedTiles>(g).run(); }
constexpr GemmUnit kEmulated = {2 * TileShape::kRows, packTokens, multiplyEmulated};

void multiply(const GemmUnit& unit, uint32_t threads, const Matrix& a, const WeightView& w,
              const Matrix& out, int64_t chunks = 1) {
  ThreadPool pool(threads);
  testing::Scratch scratch(
      plan::gemmWorkspace(a.rows, w.cols, chunks, a.dtype, out.dtype, threads).bytes());
  gemm(pool, unit, a, w, nullptr, chunks, out, scratch.data());
}

struct Shape {
  int64_t rows, n, k;
};
void PrintTo(const Shape& s, std::ostream* out) { *out << s.rows << 'x' << s.n << 'x' << s.k; }

// Around one and several tiles, pairs, parts of k and blocks, in each direction.
const Shape kShapes[] = {{1, 1, 1},     {1, 16, 32},    {1, 50, 100},   {2, 31, 33},
                         {3, 800, 31},  {15, 17, 64},   {16, 96, 95},   {17, 32, 1024},
                         {17, 1, 1},    {33, 97, 1025}, {120, 33, 130}, {121, 48, 65},
                         {128, 200, 2}, {129, 65, 34}};

class Tiles : public ::testing::TestWithParam<Shape> {
 protected:
  const Shape shape = GetParam();
  const TestMatrix a = TestMatrix(shape.rows, shape.k, DType::kBF16, 3).random(1);
  const TestMatrix w = TestMatrix(shape.n, shape.k, DType::kBF16).random(2);
};

TEST_P(Tiles, Product) {
  for (DType type : {DType::kF32, DType::kBF16}) {
    TestMatrix out(shape.rows, shape.n, type, 5);
    multiply(kEmulated, 3, a.view(), w.weight(), out.view());
    const double absolute = 4e-7 * std::sqrt(static_cast<double>(shape.k));
    testing::expectNear(
        out,
        [&](int64_t m, int64_t n) {
          double sum = 0;
          for (int64_t k = 0; k < shape.k; ++k) sum += a.at(m, k) * w.at(n, k);
          return sum;
        },
        1e-6, absolute);
  }
}

// A token's result has the same bits alone, in any batch and on any number of threads.
TEST_P(Tiles, RowsDoNotDependOnEachOther) {
  TestMatrix all(shape.rows, shape.n), again(shape.rows, shape.n);
  multiply(kEmulated, 1, a.view(), w.weight(), all.view());
  multiply(kEmulated, 3, a.view(), w.weight(), again.view());
  EXPECT_TRUE(all == again);
  for (int64_t first = 0, n = 1; first < shape.rows; first += n, n = n * 2 % 37 + 1) {
    n = std::min(n, shape.rows - first);
    Matrix part = a.view();
    part.data = a.view().at(first, 0);
    part.rows = n;
    TestMatrix out(n, shape.n);
    multiply(kEmulated, 1, part, w.weight(), out.view());
    for (int64_t r = 0; r < n; ++r) {
      ASSERT_EQ(0, std::memcmp(out.view().at(r, 0), all.view().at(first + r, 0),
                               shape.n * sizeof(float)));
    }
  }
}

// Chunks of k, whose ends are no tiles' ends, are products of their own, and added as a tree.
TEST_P(Tiles, ChunksAreProductsOfTheirOwn) {
  const int64_t chunks = shape.k % 8 == 0 ? 8 : shape.k % 2 == 0 ? 2 : 1, cols = shape.k / chunks;
  TestMatrix whole(shape.rows, shape.n), sum(shape.rows, shape.n);
  multiply(kEmulated, 3, a.view(), w.weight(), whole.view(), chunks);
  std::vector<TestMatrix> parts(chunks, TestMatrix(shape.rows, shape.n));
  std::vector<const float*> addends;
  for (int64_t i = 0; i < chunks; ++i) {
    Matrix tokens = a.view();
    tokens.data = a.view().at(0, i * cols);
    tokens.cols = cols;
    TestMatrix own(shape.n, cols, DType::kBF16);
    for (int64_t n = 0; n < shape.n; ++n) {
      std::memcpy(own.view().at(n, 0), w.view().at(n, i * cols), cols * byteSize(DType::kBF16));
    }
    multiply(kEmulated, 1, tokens, own.weight(), parts[i].view());
    addends.push_back(parts[i].f32());
  }
  sumInTree(addends, sum.view().f32(0), shape.rows * shape.n);
  EXPECT_TRUE(whole == sum);
}

// What lies behind the operands' ends doesn't reach the result, whatever it is.
TEST_P(Tiles, NothingFromBeyondTheEdges) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  TestMatrix wider(shape.n + 1, shape.k, DType::kBF16),
      longer(shape.rows + 1, shape.k + 1, DType::kBF16);
  for (int64_t k = 0; k < shape.k; ++k) {
    for (int64_t n = 0; n < shape.n; ++n) wider.set(n, k, static_cast<float>(w.at(n, k)));
    for (int64_t m = 0; m < shape.rows; ++m) longer.set(m, k, static_cast<float>(a.at(m, k)));
    wider.set(shape.n, k, nan);
    longer.set(shape.rows, k, nan);
  }
  for (int64_t m = 0; m <= shape.rows; ++m) longer.set(m, shape.k, nan);
  WeightView weight = wider.weight();
  weight.rows = shape.n;
  Matrix tokens = longer.view();
  tokens.rows = shape.rows;
  tokens.cols = shape.k;
  TestMatrix expected(shape.rows, shape.n), out(shape.rows, shape.n);
  multiply(kEmulated, 1, a.view(), w.weight(), expected.view());
  multiply(kEmulated, 1, tokens, weight, out.view());
  EXPECT_TRUE(out == expected);
}

// The machine's tiles compute the emulated ones' bits.
TEST_P(Tiles, AsTheMachine) {
  if (!mayUseAmx()) GTEST_SKIP() << "no AMX here";
  TestMatrix emulated(shape.rows, shape.n), real(shape.rows, shape.n);
  multiply(kEmulated, 1, a.view(), w.weight(), emulated.view());
  multiply(kAmxTiles, 1, a.view(), w.weight(), real.view());
  EXPECT_TRUE(real == emulated);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Tiles, ::testing::ValuesIn(kShapes));

TEST(Transpose, Words) {
  for (int64_t rows : {1, 3, 4, 7, 16}) {
    for (int64_t cols : {1, 4, 6, 9, 16}) {
      const auto from = TestMatrix(rows, cols, DType::kF32, 1).random(3);
      TestMatrix to(cols, rows, DType::kF32, 2);
      transposeWords(from.view().at(0, 0), from.view().stride * 4, rows, cols, to.view().at(0, 0),
                     to.view().stride * 4);
      testing::expectNear(
          to, [&](int64_t r, int64_t c) { return from.at(c, r); }, 0, 0);
    }
  }
}

}  // namespace
}  // namespace dcc::cpu
