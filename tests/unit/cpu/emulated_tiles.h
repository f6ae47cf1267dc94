// AmxTiles in plain C++, as the definition of TDPBF16PS (Intel SDM volume 2) says: so that what is
// built on tiles can be tested on every machine.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace dcc::cpu::testing {

class EmulatedTiles {
 public:
  explicit EmulatedTiles(int64_t columns) : columns_(columns) {
    EXPECT_GE(columns, 1);
    EXPECT_LE(columns, 16);
  }

  template <int t>
  void zero() {
    std::memset(tiles_[t], 0, sizeof(tiles_[t]));
  }
  template <int t>
  void load(const void* from, int64_t stride) {
    zero<t>();
    for (int r = 0; r < 16; ++r) {
      std::memcpy(tiles_[t][r], static_cast<const char*>(from) + r * stride, rowBytes(t));
    }
  }
  template <int t>
  void store(void* to, int64_t stride) {
    for (int r = 0; r < 16; ++r) {
      std::memcpy(static_cast<char*>(to) + r * stride, tiles_[t][r], rowBytes(t));
    }
  }
  template <int sum, int left, int right>
  void multiplyAdd() {
    static_assert(sum < 4 && left / 2 == 2 && right / 2 == 3);
    for (int m = 0; m < 16; ++m) {
      for (int64_t n = 0; n < columns_; ++n) {
        float even = 0, odd = 0;
        for (int k = 0; k < 16; ++k) {
          even = multiplyAdd(bf16(tiles_[left][m][k]), bf16(tiles_[right][k][n]), even);
          odd = multiplyAdd(bf16(tiles_[left][m][k] >> 16), bf16(tiles_[right][k][n] >> 16), odd);
        }
        const float before = flushed(std::bit_cast<float>(tiles_[sum][m][n]));
        tiles_[sum][m][n] = std::bit_cast<uint32_t>(flushed(before + flushed(even + odd)));
      }
    }
  }

 private:
  int64_t rowBytes(int t) const { return t == 4 || t == 5 ? 64 : columns_ * 4; }

  // Denormals count as 0, before and after.
  static float flushed(float x) {
    return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
  }
  static float bf16(uint32_t low) { return flushed(std::bit_cast<float>(low << 16)); }
  static float multiplyAdd(float a, float b, float sum) { return flushed(std::fma(a, b, sum)); }

  int64_t columns_;
  uint32_t tiles_[8][16][16] = {};
};

}  // namespace dcc::cpu::testing
