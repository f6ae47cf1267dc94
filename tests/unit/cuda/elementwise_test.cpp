#include "cuda_test_support.h"

namespace dcc::cuda {
namespace {

using testing::DeviceMatrix;
using testing::TestMatrix;
using Elementwise = testing::OnDevice;

struct Shape {
  int64_t rows, cols, gap;
};
constexpr Shape kShapes[] = {{1, 1, 0}, {3, 7, 2}, {5, 64, 0}, {2, 1500, 9}};

TEST_F(Elementwise, Add) {
  for (const Shape& s : kShapes) {
    for (DType left : testing::kFloats) {
      for (DType to : testing::kFloats) {
        const auto x = TestMatrix(s.rows, s.cols, left, s.gap).random(1);
        const auto y = TestMatrix(s.rows, s.cols, DType::kF32, 3).random(2);
        TestMatrix expected(s.rows, s.cols, to, s.gap);
        const DeviceMatrix dx(x), dy(y), out(expected);
        cpu::add(pool, x.view(), y.view(), expected.view());
        add(on, dx.view(), dy.view(), out.view());
        testing::expectClose(out, expected, 2);
      }
    }
  }
}

}  // namespace
}  // namespace dcc::cuda
