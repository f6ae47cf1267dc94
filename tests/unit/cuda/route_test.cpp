#include <algorithm>

#include "cuda_test_support.h"

namespace dcc::cuda {
namespace {

using testing::DeviceBytes;
using testing::DeviceMatrix;
using testing::TestMatrix;
using Route = testing::OnDevice;

struct Case {
  int64_t experts, k;
  plan::Scores scores = plan::Scores::kSoftmax;
  bool normalize = false, biased = false;
  int64_t groups = 1, live = 1, best = 1;
};
constexpr auto kSigmoid = plan::Scores::kSigmoid;
constexpr Case kCases[] = {{8, 2},
                           {128, 8, plan::Scores::kSoftmax, true},
                           {5, 1, kSigmoid},
                           {257, 6, kSigmoid, true, true},
                           {64, 64},
                           {256, 8, kSigmoid, true, true, 8, 4, 2},
                           {160, 6, plan::Scores::kSoftmax, false, false, 8, 3, 1},
                           {120, 5, kSigmoid, false, true, 40, 7, 3}};

TEST_F(Route, LikeTheCpu) {
  for (const Case& c : kCases) {
    for (DType type : testing::kFloats) {
      const auto logits = TestMatrix(5, c.experts, type, 3).random(1, 4);
      const auto bias = TestMatrix(1, c.experts).random(2);
      const DeviceMatrix dx(logits), db(bias);
      RouteShape reference{c.k, c.scores, c.normalize, 2.5f, c.groups, c.live, c.best};
      reference.bias = c.biased ? bias.f32() : nullptr;
      RouteShape shape{c.k, c.scores, c.normalize, 2.5f, c.groups, c.live, c.best};
      shape.bias = c.biased ? db.f32() : nullptr;
      TestMatrix expected(5, c.experts, DType::kF32, 1);
      const DeviceMatrix out(expected);
      cpu::route(pool, logits.view(), reference, expected.view());
      route(on, dx.view(), shape, nullptr, out.view());
      testing::expectClose(out, expected, 2.5, 32);
      // The same experts, not only nearly the same numbers.
      const TestMatrix got = out.download();
      for (int64_t r = 0; r < 5; ++r) {
        for (int64_t e = 0; e < c.experts; ++e) {
          ASSERT_EQ(got.at(r, e) != 0, expected.at(r, e) != 0) << r << " " << e;
        }
      }
    }
  }
}

TEST_F(Route, OfEqualsTheFirst) {
  TestMatrix logits(2, 100);
  for (int64_t e = 0; e < 100; ++e) {
    logits.set(0, e, e % 40 == 39 ? 1 : 0);  // 39 and 79, then the first of the others
    logits.set(1, e, 0);
  }
  TestMatrix expected(2, 100);
  const DeviceMatrix dx(logits), out(expected);
  cpu::route(pool, logits.view(), {.k = 5, .normalize = true}, expected.view());
  route(on, dx.view(), {.k = 5, .normalize = true}, nullptr, out.view());
  testing::expectClose(out, expected, 1, 8);
}

TEST_F(Route, PaddingChoosesNobody) {
  const std::vector<int32_t> live = {300};
  const DeviceBytes device(live);
  const auto logits = TestMatrix(303, 16).random(1);
  TestMatrix expected(303, 16);
  const DeviceMatrix dx(logits), out(expected);
  cpu::route(pool, logits.view(), {.k = 2}, expected.view());
  for (int64_t r = live[0]; r < 303; ++r) {
    for (int64_t e = 0; e < 16; ++e) expected.set(r, e, 0);
  }
  route(on, dx.view(), {.k = 2}, device.as<int32_t>(), out.view());
  testing::expectClose(out, expected, 1, 16);
}

}  // namespace
}  // namespace dcc::cuda
