#include "runtime/weights/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include "runtime/base/float_bits.h"
#include "runtime/plan/access.h"
#include "runtime/weights/loader.h"
#include "tests/unit/plan/example_plan.h"

namespace dcc {
namespace {

using plan::fb::Random;

std::vector<uint8_t> bytesOf(const Random& random, DType type, uint64_t first, size_t count) {
  std::vector<uint8_t> bytes(count * byteSize(type));
  drawElements(random, type, first, bytes);
  return bytes;
}

std::vector<float> draw(const Random& random, uint64_t first, size_t count) {
  std::vector<float> values(count);
  std::vector<uint8_t> bytes = bytesOf(random, DType::kF32, first, count);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// The definition of random.h in the plainest words: SplitMix64 step by step.
std::vector<float> reference(uint64_t seed, float mean, float spread, size_t count) {
  auto mix = [](uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  };
  std::vector<float> values;
  for (uint64_t state = mix(seed); values.size() < count;) {
    state += 0x9e3779b97f4a7c15;
    for (uint64_t word = mix(state), lane = 0; lane < 4; ++lane, word >>= 16) {
      const auto u = static_cast<float>(word & 0xffff);
      values.push_back(mean + spread * ((2 * u + 1 - 65536) / 65536));
    }
  }
  values.resize(count);
  return values;
}

TEST(Random, IsWhatItsDefinitionSays) {
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, UINT64_MAX}) {
    EXPECT_EQ(draw(Random(seed, 0, 0.03125f), 0, 5000), reference(seed, 0, 0.03125f, 5000));
    EXPECT_EQ(draw(Random(seed, 1, 0.03125f), 0, 5000), reference(seed, 1, 0.03125f, 5000));
  }
}

// Golden, the published first output of SplitMix64 from state 0, e220a8397b1dcdaf: other numbers
// would be other models to everybody who has dummy weights.
TEST(Random, StaysTheSame) {
  auto value = [](float u) { return (2 * u + 1 - 65536) / 65536; };
  EXPECT_EQ(draw(Random(0, 0, 1), 0, 4),
            (std::vector<float>{value(0xcdaf), value(0x7b1d), value(0xa839), value(0xe220)}));
}

TEST(Random, AnElementIsTheSameInEveryCut) {
  const Random random(42, 0, 1);
  for (DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
    const size_t size = byteSize(type);
    const std::vector<uint8_t> whole = bytesOf(random, type, 0, 9000);
    // Lengths around a word and around what is drawn at a time, at every place in a word.
    for (uint64_t first : {0, 1, 2, 3, 4, 5, 1021, 1022, 1023, 1024, 1025, 4095, 7001}) {
      for (size_t count : {1, 2, 3, 4, 5, 7, 1021, 1023, 1024, 1025, 1999}) {
        const std::vector<uint8_t> part = bytesOf(random, type, first, count);
        ASSERT_EQ(std::memcmp(part.data(), whole.data() + first * size, part.size()), 0)
            << first << " " << count << " " << name(type);
      }
    }
  }
  // Far out as well.
  const uint64_t far = (uint64_t{1} << 60) + 3;
  EXPECT_EQ(draw(random, far, 10)[7], draw(random, far + 7, 1)[0]);
}

TEST(Random, NothingIsWrittenBeyondTheEndNorNeedsAlignment) {
  std::vector<uint8_t> out(1 + 100 * 4 + 1, 0xaa);
  drawElements(Random(3, 0, 1), DType::kF32, 5, std::span(out).subspan(1, 400));
  std::vector<uint8_t> aligned = bytesOf(Random(3, 0, 1), DType::kF32, 5, 100);
  EXPECT_EQ(std::memcmp(out.data() + 1, aligned.data(), 400), 0);
  EXPECT_EQ(out.front(), 0xaa);
  EXPECT_EQ(out.back(), 0xaa);
}

TEST(Random, HalvesAreTheF32NumbersRounded) {
  const Random random(9, 1, 0.03125f);
  const std::vector<float> exact = draw(random, 11, 3000);
  const std::vector<uint8_t> bf16 = bytesOf(random, DType::kBF16, 11, 3000);
  const std::vector<uint8_t> f16 = bytesOf(random, DType::kF16, 11, 3000);
  for (size_t i = 0; i < exact.size(); ++i) {
    uint16_t b, h;
    std::memcpy(&b, bf16.data() + 2 * i, 2);
    std::memcpy(&h, f16.data() + 2 * i, 2);
    ASSERT_EQ(b, f32ToBf16(exact[i])) << i;
    ASSERT_EQ(h, f32ToF16(exact[i])) << i;
  }
}

TEST(Random, IsUniform) {
  constexpr size_t kCount = 1 << 20;
  constexpr int kBins = 64;
  for (uint64_t seed : {0, 1, 123456789}) {
    const std::vector<float> values = draw(Random(seed, 0.5f, 2), 0, kCount);
    double sum = 0, squares = 0, neighbours = 0;
    std::vector<double> bins(kBins);
    for (size_t i = 0; i < kCount; ++i) {
      const double x = (values[i] - 0.5) / 2;  // in (-1, 1)
      ASSERT_LT(std::abs(x), 1);
      sum += x;
      squares += x * x;
      neighbours += x * (values[(i + 1) % kCount] - 0.5) / 2;
      ++bins[static_cast<size_t>((x + 1) / 2 * kBins)];
    }
    const double n = kCount;
    EXPECT_NEAR(sum / n, 0, 5 * std::sqrt(1.0 / 3 / n)) << seed;
    EXPECT_NEAR(squares / n, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / n)) << seed;
    EXPECT_NEAR(neighbours / n, 0, 5 * (1.0 / 3) / std::sqrt(n)) << seed;
    double chi = 0;
    for (double count : bins) chi += (count - n / kBins) * (count - n / kBins) / (n / kBins);
    EXPECT_LT(chi, 63 + 5 * std::sqrt(2 * 63)) << seed;  // 63 degrees of freedom
  }
}

TEST(Random, SeedsDiffer) {
  std::set<std::vector<float>> all;
  for (uint64_t seed = 0; seed < 100; ++seed) all.insert(draw(Random(seed, 0, 1), 0, 4));
  all.insert(draw(Random(UINT64_MAX, 0, 1), 0, 4));
  EXPECT_EQ(all.size(), 101u);
}

// ---- through the loader ------------------------------------------------------------------------

plan::Plan packed(plan::fb::PlanT& plan) {
  return plan::Plan::fromBytes(plan::pack(plan), "rank.dplan").value();
}

// Every weight of a plan, element by element from its pieces.
std::vector<std::vector<float>> expected(const plan::Plan& plan) {
  std::vector<std::vector<float>> weights;
  const Random& random = *plan->files()->Get(0)->random();
  for (const auto* weight : plan::rows(plan->weights())) {
    std::vector<float>& values = weights.emplace_back(weight->rows() * weight->cols());
    for (const auto* piece : plan::rows(weight->pieces())) {
      const auto type = static_cast<DType>(piece->source_dtype());
      for (uint64_t i = 0; i < piece->count() * piece->run(); ++i) {
        const uint64_t run = i / piece->run(), k = i % piece->run();
        const uint64_t at = piece->source_offset() / byteSize(type) + run * piece->source_stride();
        const float value = draw(random, at + k, 1)[0];
        values[piece->dest_offset() + run * piece->dest_stride() + k] =
            type == DType::kF16    ? f16ToF32(f32ToF16(value))
            : type == DType::kBF16 ? bf16ToF32(f32ToBf16(value))
                                   : value;
      }
    }
  }
  return weights;
}

TEST(RandomWeights, EveryRankDrawsItsParts) {
  for (uint32_t ranks : {1u, 2u, 4u}) {
    auto plans = plan::testing::examplePlans({.ranks = ranks, .seed = 5});
    for (auto& unpacked : plans) {
      const plan::Plan plan = packed(unpacked);
      std::vector<std::vector<uint8_t>> storage;
      std::vector<std::span<uint8_t>> memory;
      for (const auto* weight : plan::rows(plan->weights())) {
        storage.emplace_back(weightBytes(*weight), 0xaa);
      }
      for (auto& weight : storage) memory.emplace_back(weight);
      auto loader = WeightLoader::open(plan);  // in a directory that does not exist
      ASSERT_TRUE(loader.ok()) << loader.error().message;
      uint64_t drawn = 0;
      ASSERT_TRUE(
          loader->load(wholeWeights(memory), 2, [&](uint64_t done, uint64_t) { drawn = done; })
              .ok());
      EXPECT_EQ(drawn, loader->totalBytes());
      const std::vector<std::vector<float>> weights = expected(plan);
      for (size_t i = 0; i < weights.size(); ++i) {
        std::vector<float> loaded(weights[i].size());
        ASSERT_EQ(storage[i].size(), loaded.size() * 4) << "the example holds f32";
        std::memcpy(loaded.data(), storage[i].data(), storage[i].size());
        EXPECT_EQ(loaded, weights[i]) << "weight " << i << " of rank " << unpacked.rank;
      }
    }
  }
}

TEST(RandomWeights, ACheckpointWouldMeanNothing) {
  auto plans = plan::testing::examplePlans({.ranks = 1, .seed = 5});
  auto loader = WeightLoader::open(packed(plans[0]), "/some/where");
  ASSERT_FALSE(loader.ok());
  EXPECT_EQ(loader.error().fault, Fault::kUser);
  EXPECT_EQ(loader.error().message.rfind("--checkpoint /some/where: the plan's weights are", 0), 0u)
      << loader.error().message;
}

}  // namespace
}  // namespace dcc
