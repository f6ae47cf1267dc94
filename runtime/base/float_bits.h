// bf16 and f16 as bits. Conversions to f32 are exact; those from f32 round to nearest, ties to
// even, and keep NaNs NaN. Without branches, so that loops over them vectorise.
#pragma once

#include <bit>
#include <cstdint>

namespace dcc {

constexpr float bf16ToF32(uint16_t h) { return std::bit_cast<float>(uint32_t{h} << 16); }

constexpr float f16ToF32(uint16_t h) {
  uint32_t sign = (h & 0x8000u) << 16, magnitude = h & 0x7fffu;
  // Exponent 0: the number is magnitude * 2^-24. Exponent 31: infinity or NaN.
  float small = static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f;
  uint32_t rebias = magnitude < 0x7c00u ? 112u << 23 : 224u << 23;
  uint32_t normal = (magnitude << 13) + rebias;
  uint32_t bits = magnitude < 0x400u ? std::bit_cast<uint32_t>(small) : normal;
  return std::bit_cast<float>(bits | sign);
}

constexpr uint16_t f32ToBf16(float f) {
  uint32_t bits = std::bit_cast<uint32_t>(f);
  uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
  uint32_t nan = bits >> 16 | 0x40u;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

constexpr uint16_t f32ToF16(float f) {
  uint32_t bits = std::bit_cast<uint32_t>(f), magnitude = bits & 0x7fffffffu;
  // Below 2^-14: adding 0.5 leaves multiples of 2^-24 in the low bits, rounded by the addition.
  uint32_t small = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) -
                   std::bit_cast<uint32_t>(0.5f);
  uint32_t normal = (magnitude + 0xfffu + (magnitude >> 13 & 1) - (112u << 23)) >> 13;
  uint32_t out = magnitude < 0x38800000u ? small : normal;
  out = magnitude >= 0x477ff000u ? 0x7c00u : out;  // 65520 and more round to infinity
  out = magnitude > 0x7f800000u ? 0x7e00u | (magnitude >> 13 & 0x3ffu) : out;
  return static_cast<uint16_t>(out | (bits >> 16 & 0x8000u));
}

}  // namespace dcc
