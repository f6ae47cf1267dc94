#include "runtime/weights/random.h"

#include <algorithm>
#include <cstring>

#include "runtime/base/float_bits.h"
#include "runtime/weights/split_mix.h"

namespace dcc {
namespace {

constexpr uint64_t kLanes = 4;  // elements of a word
// Drawn at a time: the bits stay in the first-level cache, and both loops below vectorise.
constexpr uint64_t kWords = 256;

template <class Element, class Round>
void draw(const plan::fb::Random& random, uint64_t first, uint64_t count, uint8_t* out,
          Round round) {
  const SplitMix words(random.seed());
  const float mean = random.mean(), unit = random.spread() * 0x1p-16f;
  uint16_t bits[kWords * kLanes];
  while (count > 0) {
    const uint64_t word = first / kLanes, skip = first % kLanes;
    const uint64_t n = std::min(count, kWords * kLanes - skip);
    for (uint64_t w = 0; w < (skip + n + kLanes - 1) / kLanes; ++w) {
      const uint64_t z = words.word(word + w);
      for (uint64_t lane = 0; lane < kLanes; ++lane) {
        bits[w * kLanes + lane] = static_cast<uint16_t>(z >> (16 * lane));
      }
    }
    for (uint64_t i = 0; i < n; ++i) {
      const int32_t odd = 2 * int32_t{bits[skip + i]} - 0xffff;
      const Element element = round(mean + unit * static_cast<float>(odd));
      std::memcpy(out + i * sizeof(Element), &element, sizeof(Element));
    }
    first += n;
    count -= n;
    out += n * sizeof(Element);
  }
}

}  // namespace

void drawElements(const plan::fb::Random& random, DType type, uint64_t first,
                  std::span<uint8_t> out) {
  const uint64_t count = out.size() / byteSize(type);
  if (type == DType::kF32) {
    draw<float>(random, first, count, out.data(), [](float x) { return x; });
  } else if (type == DType::kBF16) {
    draw<uint16_t>(random, first, count, out.data(), [](float x) { return f32ToBf16(x); });
  } else {
    draw<uint16_t>(random, first, count, out.data(), [](float x) { return f32ToF16(x); });
  }
}

}  // namespace dcc
