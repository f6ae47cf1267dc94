#include "runtime/weights/block_scaled.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace dcc {
namespace {

using plan::fb::Decoding;

constexpr float kE2M1[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                             -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

// Sign, four bits of exponent with bias 7, three of mantissa; all ones is no number.
std::array<float, 256> makeE4M3() {
  std::array<float, 256> values;
  for (int bits = 0; bits < 256; ++bits) {
    const int exponent = bits >> 3 & 15, mantissa = bits & 7;
    float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
    if (exponent == 15 && mantissa == 7) value = std::numeric_limits<float>::quiet_NaN();
    values[bits] = bits & 128 ? -value : value;
  }
  return values;
}

float scaleAt(Decoding decoding, const uint8_t* scales, uint64_t i) {
  if (decoding == Decoding::mxfp4) {
    return scales[i] == 255 ? std::numeric_limits<float>::quiet_NaN()
                            : std::ldexp(1.0f, scales[i] - 127);
  }
  float scale;
  std::memcpy(&scale, scales + i * sizeof scale, sizeof scale);
  return scale;
}

}  // namespace

void decodeRow(Decoding decoding, const uint8_t* in, uint64_t first, uint64_t column,
               uint64_t width, const uint8_t* scales, float* out, uint64_t count) {
  static const std::array<float, 256> kE4M3 = makeE4M3();
  for (uint64_t i = 0; i < count;) {
    const uint64_t block = (column + i) / width;
    const uint64_t end = std::min(count, (block + 1) * width - column);
    const float scale = scaleAt(decoding, scales, block - column / width);
    for (; i < end; ++i) {
      if (decoding == Decoding::mxfp4) {
        const uint8_t both = in[(first + i) / 2 - first / 2];
        out[i] = kE2M1[(first + i) % 2 == 0 ? both & 15 : both >> 4] * scale;
      } else {
        out[i] = kE4M3[in[i]] * scale;
      }
    }
  }
}

}  // namespace dcc
