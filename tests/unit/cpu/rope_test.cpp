#include "cpu_test_support.h"
#include "runtime/backends/cpu/rotary.h"

namespace dcc::cpu {
namespace {

using testing::TestMatrix;
using Rope = testing::PerSetting;

std::vector<float> frequencies(int64_t half, double theta) {
  std::vector<float> f;
  for (int64_t i = 0; i < half; ++i) {
    f.push_back(static_cast<float>(std::pow(theta, -static_cast<double>(i) / half)));
  }
  return f;
}

// The rotation by definition; angles are products rounded to f32.
double rotated(const TestMatrix& x, int64_t t, int64_t c, int64_t head_dim, int64_t half,
               bool interleaved, double scale, const std::vector<float>& f, int32_t position) {
  const int64_t head = c / head_dim * head_dim, i = c % head_dim;
  if (i >= 2 * half) return x.at(t, c);
  const int64_t pair = interleaved ? i / 2 : i % half;
  const bool second = interleaved ? i % 2 == 1 : i >= half;
  const int64_t first_col = head + (interleaved ? 2 * pair : pair);
  const int64_t second_col = head + (interleaved ? 2 * pair + 1 : pair + half);
  const double angle = static_cast<float>(position) * f[pair];
  const double a = x.at(t, first_col), b = x.at(t, second_col);
  return scale * (second ? b * std::cos(angle) + a * std::sin(angle)
                         : a * std::cos(angle) - b * std::sin(angle));
}

TEST_P(Rope, RotatesPairs) {
  const std::vector<int32_t> positions = {0, 1, 2, 77, 4095, 131071};
  const int32_t starts[] = {0, 6}, lengths[] = {6};
  for (int64_t head_dim : {16, 20, 64, 128}) {
    for (int64_t half : {head_dim / 2, head_dim / 4}) {
      for (bool interleaved : {false, true}) {
        for (DType type : testing::kFloats) {
          const auto f = frequencies(half, 10000);
          const double scale = half == head_dim / 2 ? 1 : 1.25;
          RotaryTable table(f, static_cast<float>(scale), std::nullopt, 6);
          table.fill(pool, positions, starts, lengths);
          const auto x = TestMatrix(6, 3 * head_dim, type, 7).random(1);
          auto in_place = x;
          TestMatrix out(6, 3 * head_dim, type, 2);
          rope(pool, x.view(), table.view(), head_dim, 0, interleaved, out.view());
          rope(pool, in_place.view(), table.view(), head_dim, 0, interleaved, in_place.view());
          const auto want = [&](int64_t t, int64_t c) {
            return rotated(x, t, c, head_dim, half, interleaved, scale, f, positions[t]);
          };
          testing::expectNear(out, want, 1e-6, 3e-7);
          testing::expectNear(in_place, want, 1e-6, 3e-7);
        }
      }
    }
  }
}

// Dynamic NTK scaling: a sequence past the original length has frequencies of its own, the other
// sequence of the step keeps the plan's.
TEST_P(Rope, DynamicFrequenciesPerSequence) {
  const std::vector<int32_t> positions = {3, 4, 90, 91, 92};
  const int32_t starts[] = {0, 2, 5}, lengths[] = {64, 93};
  const auto f = frequencies(8, 10000);
  RotaryTable table(f, 1, LongFrequencies{64, {}, 10000, 2}, 5);
  table.fill(pool, positions, starts, lengths);
  const double base = 10000 * std::pow(2.0 * 93 / 64 - 1, 16.0 / 14);
  for (int64_t t = 0; t < 5; ++t) {
    for (int64_t i = 0; i < 8; ++i) {
      const double frequency = t < 2 ? f[i] : std::pow(base, -static_cast<double>(i) / 8);
      // One part in 2^23 of the angle for the rounding of the frequency.
      EXPECT_NEAR(table.view().cos[t * 8 + i], std::cos(positions[t] * frequency), 2e-5);
      EXPECT_NEAR(table.view().sin[t * 8 + i], std::sin(positions[t] * frequency), 2e-5);
    }
  }
}

// Columns before `first` and behind what turns pass through.
TEST_P(Rope, FromAColumnOn) {
  const std::vector<int32_t> positions = {0, 5, 4000};
  const int32_t starts[] = {0, 3}, lengths[] = {3};
  const int64_t head_dim = 40, first = 12, half = 10;
  const auto f = frequencies(half, 10000);
  RotaryTable table(f, 1, std::nullopt, 3);
  table.fill(pool, positions, starts, lengths);
  for (bool interleaved : {false, true}) {
    for (DType type : testing::kFloats) {
      const auto x = TestMatrix(3, 2 * head_dim, type, 1).random(2);
      auto in_place = x;
      TestMatrix out(3, 2 * head_dim, type);
      rope(pool, x.view(), table.view(), head_dim, first, interleaved, out.view());
      rope(pool, in_place.view(), table.view(), head_dim, first, interleaved, in_place.view());
      // The part that turns, as heads of their own.
      TestMatrix part(3, 2 * 2 * half);
      for (int64_t t = 0; t < 3; ++t) {
        for (int64_t c = 0; c < 4 * half; ++c) {
          const int64_t from = c / (2 * half) * head_dim + first + c % (2 * half);
          part.set(t, c, static_cast<float>(x.at(t, from)));
        }
      }
      const auto want = [&](int64_t t, int64_t c) {
        const int64_t i = c % head_dim - first;
        if (i < 0 || i >= 2 * half) return x.at(t, c);
        return rotated(part, t, c / head_dim * 2 * half + i, 2 * half, half, interleaved, 1, f,
                       positions[t]);
      };
      testing::expectNear(out, want, 1e-6, 3e-7);
      testing::expectNear(in_place, want, 1e-6, 3e-7);
    }
  }
}

// longrope: a sequence past the original length has the other frequencies, from its first token on.
TEST_P(Rope, FrequenciesBeyondALength) {
  const std::vector<int32_t> positions = {62, 63, 0, 64};
  const int32_t starts[] = {0, 2, 4}, lengths[] = {64, 65};
  const auto f = frequencies(8, 10000), beyond = frequencies(8, 500);
  RotaryTable table(f, 1.5f, LongFrequencies{64, beyond}, 4);
  table.fill(pool, positions, starts, lengths);
  for (int64_t t = 0; t < 4; ++t) {
    for (int64_t i = 0; i < 8; ++i) {
      const double angle = static_cast<float>(positions[t]) * (t < 2 ? f[i] : beyond[i]);
      EXPECT_NEAR(table.view().cos[t * 8 + i], 1.5 * std::cos(angle), 5e-7);
      EXPECT_NEAR(table.view().sin[t * 8 + i], 1.5 * std::sin(angle), 5e-7);
    }
  }
}

DCC_PER_SETTING(Rope);

}  // namespace
}  // namespace dcc::cpu
