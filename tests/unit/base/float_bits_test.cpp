#include "runtime/base/float_bits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dcc {
namespace {

// The value of f16 bits by its definition.
double f16Value(uint16_t h) {
  int exponent = h >> 10 & 31, mantissa = h & 1023;
  double sign = h & 0x8000 ? -1 : 1;
  if (exponent == 31)
    return mantissa ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(FloatBits, EveryF16IsConvertedExactlyAndBack) {
  for (uint32_t h = 0; h < 65536; ++h) {
    uint16_t bits = static_cast<uint16_t>(h);
    double expected = f16Value(bits);
    float actual = f16ToF32(bits);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(actual));
      EXPECT_TRUE(std::isnan(f16Value(f32ToF16(actual))));
    } else {
      ASSERT_EQ(static_cast<double>(actual), expected) << h;
      ASSERT_EQ(std::signbit(actual), std::signbit(expected)) << h;
      ASSERT_EQ(f32ToF16(actual), bits);
    }
  }
}

TEST(FloatBits, EveryBf16SurvivesF32) {
  for (uint32_t h = 0; h < 65536; ++h) {
    uint16_t bits = static_cast<uint16_t>(h);
    float value = bf16ToF32(bits);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(bf16ToF32(f32ToBf16(value))));
    } else {
      ASSERT_EQ(f32ToBf16(value), bits);
    }
  }
}

// Rounding between two neighbours of a 16-bit format: below the middle down, above up, the middle
// to the one with an even last bit.
template <class Widen, class Narrow>
void checkRounding(Widen widen, Narrow narrow, uint16_t infinity) {
  for (uint16_t h = 0; h + 1 < infinity; ++h) {
    double low = widen(h), high = widen(static_cast<uint16_t>(h + 1));
    float middle = static_cast<float>((low + high) / 2);
    if (static_cast<double>(middle) != (low + high) / 2) continue;  // below f32's resolution
    uint16_t even = h % 2 == 0 ? h : static_cast<uint16_t>(h + 1);
    uint16_t up = static_cast<uint16_t>(h + 1);
    ASSERT_EQ(narrow(middle), even) << h;
    ASSERT_EQ(narrow(std::nextafter(middle, 0.0f)), h) << h;
    ASSERT_EQ(narrow(std::nextafter(middle, INFINITY)), up) << h;
    ASSERT_EQ(narrow(-middle), even | 0x8000) << h;
  }
}

TEST(FloatBits, RoundsToNearestEven) {
  checkRounding(f16ToF32, f32ToF16, 0x7c00);
  checkRounding(bf16ToF32, f32ToBf16, 0x7f80);
}

TEST(FloatBits, TooLargeBecomesInfinityAndTooSmallZero) {
  EXPECT_EQ(f32ToF16(65519.0f), 0x7bff);
  EXPECT_EQ(f32ToF16(65520.0f), 0x7c00);
  EXPECT_EQ(f32ToF16(-INFINITY), 0xfc00);
  EXPECT_EQ(f32ToF16(1e-10f), 0);
  EXPECT_EQ(f32ToF16(-1e-10f), 0x8000);
  EXPECT_EQ(f32ToBf16(std::numeric_limits<float>::max()), 0x7f80);
}

}  // namespace
}  // namespace dcc
