#include "runtime/weights/convert.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "runtime/base/float_bits.h"

namespace dcc {
namespace {

// Multiples of 1/16 in [-2, 2): exact in f32, bf16 and f16.
std::vector<float> sampleValues() {
  std::vector<float> values;
  for (int i = -32; i < 32; ++i) values.push_back(static_cast<float>(i) / 16);
  return values;
}

std::vector<uint8_t> encode(DType type, const std::vector<float>& values) {
  std::vector<uint8_t> bytes;
  for (float value : values) {
    uint16_t half = type == DType::kF16 ? f32ToF16(value) : f32ToBf16(value);
    const uint8_t* p = type == DType::kF32 ? reinterpret_cast<const uint8_t*>(&value)
                                           : reinterpret_cast<const uint8_t*>(&half);
    bytes.insert(bytes.end(), p, p + byteSize(type));
  }
  return bytes;
}

TEST(Convert, EveryPairOfFloatTypesAtEveryAlignment) {
  const DType types[] = {DType::kF32, DType::kBF16, DType::kF16};
  const std::vector<float> values = sampleValues();
  for (DType from : types) {
    for (DType to : types) {
      for (size_t shift : {0, 1}) {
        std::vector<uint8_t> in = encode(from, values), expected = encode(to, values);
        in.insert(in.begin(), shift, 0);
        std::vector<uint8_t> out(shift + expected.size() + 1, 0xaa);
        convertElements(from, in.data() + shift, to, out.data() + shift, values.size());
        EXPECT_EQ(std::memcmp(out.data() + shift, expected.data(), expected.size()), 0)
            << name(from) << " to " << name(to);
        EXPECT_EQ(out.back(), 0xaa);
      }
    }
  }
}

TEST(Convert, OtherTypesAreCopied) {
  const uint8_t in[] = {1, 2, 3, 4, 5, 6, 7, 8};
  uint8_t out[8] = {};
  convertElements(DType::kI32, in, DType::kI32, out, 2);
  EXPECT_EQ(std::memcmp(in, out, 8), 0);
}

}  // namespace
}  // namespace dcc
