#include "runtime/backends/cpu/convert.h"

#include <cstring>
#include <limits>

#include "cpu_test_support.h"

namespace dcc::cpu {
namespace {

using Convert = testing::PerSetting;

// The value of 16 bits of sign, exponent and `mantissa` bits of mantissa, by definition.
double valueOf(uint16_t bits, int exponent_bits) {
  const int mantissa_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  const double fraction = std::ldexp(mantissa, -mantissa_bits);
  return sign * (exponent == 0 ? std::ldexp(fraction, 1 - bias)
                               : std::ldexp(1 + fraction, exponent - bias));
}

// All 65536 patterns, both ways, in pieces of odd length.
TEST_P(Convert, EveryPatternThereAndBack) {
  for (DType type : {DType::kBF16, DType::kF16}) {
    std::vector<uint16_t> bits(65536), back(65536 + 1, 0xabcd);
    for (int i = 0; i < 65536; ++i) bits[i] = static_cast<uint16_t>(i);
    std::vector<float> wide(65536);
    for (int64_t i = 0, n = 1; i < 65536; i += n, n = n % 37 + 1) {
      n = std::min<int64_t>(n, 65536 - i);
      toF32(type, &bits[i], &wide[i], n);
      fromF32(&wide[i], type, &back[i], n);
    }
    for (int i = 0; i < 65536; ++i) {
      const double want = valueOf(bits[i], type == DType::kBF16 ? 8 : 5);
      if (std::isnan(want)) {
        ASSERT_TRUE(std::isnan(wide[i])) << i;
        ASSERT_TRUE(std::isnan(valueOf(back[i], type == DType::kBF16 ? 8 : 5))) << i;
      } else {
        ASSERT_EQ(wide[i], want) << i;
        ASSERT_EQ(back[i], bits[i]) << i;
      }
    }
    EXPECT_EQ(back[65536], 0xabcd) << "wrote beyond the end";
  }
}

// f32 values around every boundary round to the nearest 16-bit value, ties to even.
TEST_P(Convert, RoundsToNearestEven) {
  for (DType type : {DType::kBF16, DType::kF16}) {
    const int exponent_bits = type == DType::kBF16 ? 8 : 5;
    for (int i = 0; i < 0x7fff; ++i) {
      const auto low = static_cast<uint16_t>(i), high = static_cast<uint16_t>(i + 1);
      const double a = valueOf(low, exponent_bits);
      double b = valueOf(high, exponent_bits);
      if (!std::isfinite(a)) break;
      // Rounding to infinity happens half a step beyond the largest number.
      if (!std::isfinite(b)) b = 2 * a - valueOf(static_cast<uint16_t>(i - 1), exponent_bits);
      const auto middle = static_cast<float>((a + b) / 2);
      if (static_cast<double>(middle) != (a + b) / 2) continue;  // below f32's own resolution
      const float inputs[] = {std::nextafter(middle, -1.0f), middle,
                              std::nextafter(middle, HUGE_VALF)};
      const uint16_t want[] = {low, i % 2 == 0 ? low : high, high};
      uint16_t got[3];
      fromF32(inputs, type, got, 3);
      for (int j = 0; j < 3; ++j) ASSERT_EQ(got[j], want[j]) << "pattern " << i << ", case " << j;
      const float negative[] = {-inputs[0], -inputs[1], -inputs[2]};
      fromF32(negative, type, got, 3);
      for (int j = 0; j < 3; ++j) ASSERT_EQ(got[j], want[j] | 0x8000) << "pattern -" << i;
    }
  }
}

DCC_PER_SETTING(Convert);

}  // namespace
}  // namespace dcc::cpu
