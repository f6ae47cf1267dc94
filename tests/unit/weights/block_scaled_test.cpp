#include "runtime/weights/block_scaled.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace dcc {
namespace {

using plan::fb::Decoding;

std::vector<float> decoded(Decoding decoding, const std::vector<uint8_t>& in, uint64_t first,
                           uint64_t column, uint64_t width, const std::vector<uint8_t>& scales,
                           uint64_t count) {
  std::vector<float> out(count);
  decodeRow(decoding, in.data(), first, column, width, scales.data(), out.data(), count);
  return out;
}

std::vector<uint8_t> bytesOf(const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// All 16 elements, low halves first; a scale of 2^3.
TEST(BlockScaled, Mxfp4) {
  std::vector<uint8_t> in;
  for (int i = 0; i < 16; i += 2) in.push_back(static_cast<uint8_t>(i | (i + 1) << 4));
  EXPECT_EQ(
      decoded(Decoding::mxfp4, in, 0, 0, 32, {130}, 16),
      (std::vector<float>{0, 4, 8, 12, 16, 24, 32, 48, -0.0f, -4, -8, -12, -16, -24, -32, -48}));
  // From the middle of a byte, and over the end of a block, whose successor is 2^-1.
  EXPECT_EQ(decoded(Decoding::mxfp4, {0x10, 0x32, 0x54}, 31, 31, 32, {127, 126}, 5),
            (std::vector<float>{0.5, 0.5, 0.75, 1, 1.5}));
  EXPECT_TRUE(std::isnan(decoded(Decoding::mxfp4, {0x01}, 0, 0, 32, {255}, 1)[0]));
  EXPECT_EQ(encodedBytes(Decoding::mxfp4, 31, 5), 3u);
  EXPECT_EQ(encodedBytes(Decoding::mxfp4, 32, 4), 2u);
  EXPECT_EQ(encodedBytes(Decoding::mxfp4, 0, 1), 1u);
}

// By the format's own formula: (-1)^s 2^(e - 7) (1 + m / 8), and 2^-6 m / 8 for e = 0.
TEST(BlockScaled, E4M3) {
  std::vector<uint8_t> in(256);
  for (int i = 0; i < 256; ++i) in[i] = static_cast<uint8_t>(i);
  const std::vector<float> out =
      decoded(Decoding::f8e4m3, in, 0, 0, 128, bytesOf({2.0f, 0.5f}), 256);
  for (int i = 0; i < 256; ++i) {
    const int e = i >> 3 & 15, m = i & 7;
    const double size = e == 0 ? std::pow(2, -6) * m / 8 : std::pow(2, e - 7) * (1 + m / 8.0);
    if (e == 15 && m == 7) {
      EXPECT_TRUE(std::isnan(out[i])) << i;
    } else {
      EXPECT_EQ(out[i], (i & 128 ? -size * 0.5 : size * 2)) << i;
    }
  }
  EXPECT_EQ(out[0x7e], 896);  // twice the largest
}

}  // namespace
}  // namespace dcc
