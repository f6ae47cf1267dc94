// Kernels that move rows: embedding and all of rows and columns.
#include <array>

#include "cuda_test_support.h"

namespace dcc::cuda {
namespace {

using testing::DeviceBytes;
using testing::DeviceMatrix;
using testing::TestMatrix;
using Rows = testing::OnDevice;

// Calls `body` for every pair of types and some widths: whole and ragged.
template <class Body>
void forTypes(Body&& body) {
  for (int64_t cols : {48, 1101}) {
    for (DType from : testing::kFloats) {
      for (DType to : testing::kFloats) body(cols, from, to);
    }
  }
}

// What a kernel moves it does not change, but for one rounding, which both make alike.
constexpr double kExact = 0;

TEST_F(Rows, Embedding) {
  const std::vector<int32_t> tokens = {5, 10, 17, 4, 16, 11};  // the weight has rows [5, 17)
  const DeviceBytes device(tokens);
  forTypes([&](int64_t cols, DType from, DType to) {
    const auto weight = TestMatrix(12, cols, from).random(1);
    TestMatrix expected(6, cols, to, 3);
    const DeviceMatrix dw(weight), out(expected);
    cpu::embedding(pool, tokens.data(), weight.weight(5), expected.view());
    embedding(on, device.as<int32_t>(), dw.weight(5), out.view());
    testing::expectClose(out, expected, 1, kExact);
  });
}

// Sequences of one, two and more tokens, and one of padding.
constexpr std::array<int32_t, 5> kStarts = {0, 1, 3, 43, 43};
constexpr int64_t kTokens = 43, kSequences = 4;

StepView stepOf(const DeviceBytes& starts) {
  StepView step;
  step.starts = starts.as<int32_t>();
  step.T = kTokens;
  step.B = kSequences;
  return step;
}

// `reference` and `kernel` where there are tokens; zeros in the last row, which has none.
template <class Reference, class Kernel>
void compareTokens(Reference&& reference, Kernel&& kernel, double roundings) {
  const DeviceBytes starts(kStarts.data(), sizeof(kStarts));
  forTypes([&](int64_t cols, DType from, DType to) {
    const auto x = TestMatrix(kTokens, cols, from, 2).random(1);
    TestMatrix expected(kSequences, cols, to, 1);
    const DeviceMatrix dx(x), out(expected);
    Matrix live = expected.view();
    live.rows = kSequences - 1;
    reference(x.view(), std::span(kStarts).first(kSequences), live);
    for (int64_t c = 0; c < cols; ++c) expected.set(kSequences - 1, c, 0);
    kernel(dx.view(), stepOf(starts), out.view());
    testing::expectClose(out, expected, 1, roundings);
  });
}

TEST_F(Rows, LastToken) {
  compareTokens([](const auto&... all) { cpu::lastToken(all...); },
                [&](auto... all) { lastToken(on, all...); }, kExact);
}
TEST_F(Rows, FirstToken) {
  compareTokens([](const auto&... all) { cpu::firstToken(all...); },
                [&](auto... all) { firstToken(on, all...); }, kExact);
}
TEST_F(Rows, MeanTokens) {
  compareTokens([](const auto&... all) { cpu::meanTokens(all...); },
                [&](auto... all) { meanTokens(on, all...); }, 4);
}

TEST_F(Rows, SliceColumns) {
  for (int64_t begin : {0, 7, 16}) {
    forTypes([&](int64_t cols, DType from, DType to) {
      const auto x = TestMatrix(4, cols, from, 2).random(3);
      const int64_t range[] = {begin, cols - 3};
      TestMatrix expected(4, range[1] - range[0], to, 5);
      const DeviceMatrix dx(x), out(expected);
      cpu::sliceColumns(x.view(), range, expected.view());
      sliceColumns(on, dx.view(), begin, out.view());
      testing::expectClose(out, expected, 1, kExact);
    });
  }
}

TEST_F(Rows, SliceRows) {
  const auto x = TestMatrix(7, 24, DType::kBF16, 8).random(3);
  const DeviceMatrix dx(x);
  for (int64_t part = 0; part < 9; ++part) {
    TestMatrix expected(part < 7 ? 1 : 0, 24, DType::kBF16);
    const DeviceMatrix out(expected);
    cpu::sliceRows(x.view(), part, 9, expected.view());
    sliceRows(on, dx.view(), part, 9, out.view());
    testing::expectClose(out, expected, 1, kExact);
  }
  for (int64_t part = 0; part < 3; ++part) {
    TestMatrix expected(part == 0 ? 3 : 2, 24, DType::kF32);
    const DeviceMatrix out(expected);
    cpu::sliceRows(x.view(), part, 3, expected.view());
    sliceRows(on, dx.view(), part, 3, out.view());
    testing::expectClose(out, expected, 1, kExact);
  }
}

struct HeadShape {
  int64_t heads, head_dim, first, size;
};
constexpr HeadShape kHeads[] = {
    {3, 70, 20, 33}, {5, 64, 16, 32}, {1, 2300, 0, 2200}, {130, 8, 0, 8}};

TEST_F(Rows, SliceHeads) {
  for (const HeadShape& s : kHeads) {
    for (DType from : testing::kFloats) {
      for (DType to : testing::kFloats) {
        const auto x = TestMatrix(3, s.heads * s.head_dim, from, 2).random(4);
        TestMatrix expected(3, s.heads * s.size, to, 1);
        const DeviceMatrix dx(x), out(expected);
        cpu::sliceHeads(pool, x.view(), s.head_dim, s.first, s.size, expected.view());
        sliceHeads(on, dx.view(), s.head_dim, s.first, s.size, out.view());
        testing::expectClose(out, expected, 1, kExact);
      }
    }
  }
}

TEST_F(Rows, ExtendHeads) {
  for (const HeadShape& s : kHeads) {
    for (DType from : testing::kFloats) {
      for (DType to : testing::kFloats) {
        const auto x = TestMatrix(3, s.heads * s.head_dim, from, 1).random(5);
        const auto y = TestMatrix(3, s.size, DType::kF32, 2).random(6);
        TestMatrix expected(3, s.heads * (s.head_dim + s.size), to, 3);
        const DeviceMatrix dx(x), dy(y), out(expected);
        cpu::extendHeads(pool, x.view(), y.view(), s.head_dim, expected.view());
        extendHeads(on, dx.view(), dy.view(), s.head_dim, out.view());
        testing::expectClose(out, expected, 1, kExact);
      }
    }
  }
}

}  // namespace
}  // namespace dcc::cuda
