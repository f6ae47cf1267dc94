// Weights drawn on the device against those that the CPU draws: the same bits.
#include "runtime/backends/cuda/random_weights.h"

#include "cuda_test_support.h"
#include "runtime/backends/cuda/cuda_backend.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"
#include "runtime/weights/convert.h"
#include "runtime/weights/loader.h"
#include "runtime/weights/random.h"
#include "tests/unit/plan/example_plan.h"

namespace dcc::cuda {
namespace {

using testing::DeviceBytes;
using RandomWeights = testing::OnDevice;

// Element by element, as random.h says.
void draw(const RandomPiece& piece, DType type, std::vector<std::byte>& weight) {
  const plan::fb::Random random(piece.seed, piece.mean, piece.spread);
  for (uint64_t r = 0; r < piece.count; ++r) {
    for (uint64_t i = 0; i < piece.run; ++i) {
      uint8_t drawn[4], element[4];
      drawElements(random, piece.drawn,
                   piece.first + r * piece.source_stride + i * piece.source_step,
                   std::span(drawn, byteSize(piece.drawn)));
      convertElements(piece.drawn, drawn, type, element, 1);
      if (piece.plus != 0) {
        float value;
        std::memcpy(&value, element, sizeof value);
        value += piece.plus;
        std::memcpy(element, &value, sizeof value);
      }
      const uint64_t at = piece.dest_offset + r * piece.dest_stride + i * piece.dest_step;
      std::memcpy(weight.data() + at * byteSize(type), element, byteSize(type));
    }
  }
}

void expectDrawn(const Launch& on, const RandomPiece& piece, DType type, size_t elements) {
  std::vector<std::byte> expected(elements * byteSize(type), std::byte{0x5a});
  const DeviceBytes device(expected);
  draw(piece, type, expected);
  randomWeights(on, piece, type, device.as());
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(device.download<std::byte>(), expected) << name(piece.drawn) << " " << name(type);
}

TEST_F(RandomWeights, PiecesOfAllKinds) {
  for (DType drawn : testing::kFloats) {
    for (DType type : testing::kFloats) {
      RandomPiece piece;
      piece.seed = 42;
      piece.spread = 0.03125f;
      piece.drawn = drawn;
      for (uint64_t first : {uint64_t{0}, uint64_t{3}, uint64_t{1} << 60}) {
        // One run, from an odd place on.
        RandomPiece one = piece;
        one.first = first;
        one.run = 3001;
        one.dest_offset = first % 5;
        expectDrawn(on, one, type, 3100);
        // Columns of a matrix.
        RandomPiece many = piece;
        many.mean = 1;
        many.first = first;
        many.run = 21;
        many.count = 50;
        many.source_stride = 37;
        many.dest_stride = 24;
        expectDrawn(on, many, type, 1300);
        // A transposed matrix, and every third element of the file.
        RandomPiece steps = many;
        steps.dest_step = 50;
        steps.dest_stride = 1;
        expectDrawn(on, steps, type, 21 * 50 + 3);
        steps.source_step = 3;
        expectDrawn(on, steps, type, 21 * 50 + 3);
      }
    }
  }
}

TEST_F(RandomWeights, PlusIsAddedInF32) {
  RandomPiece piece;
  piece.spread = 0.5f;
  piece.drawn = DType::kBF16;
  piece.run = 100;
  piece.plus = 1;
  expectDrawn(on, piece, DType::kF32, 101);
}

TEST_F(RandomWeights, OfAPlanAsTheLoaderDrawsThem) {
  for (uint32_t ranks : {1u, 4u}) {
    for (DType type : testing::kFloats) {
      for (auto& unpacked :
           plan::testing::examplePlans({.ranks = ranks, .weights = type, .seed = 5})) {
        const plan::Plan plan = plan::Plan::fromBytes(plan::pack(unpacked), "rank.dplan").value();
        auto loader = WeightLoader::open(plan);
        ASSERT_TRUE(loader.ok()) << loader.error().message;
        const auto weights = plan::rows(plan->weights());
        for (uint32_t i = 0; i < weights.size(); ++i) {
          std::vector<uint8_t> expected(weightBytes(*weights[i]), 0x5a);
          const DeviceBytes device(expected);
          const WeightPart part{i, 0, expected};
          ASSERT_TRUE(loader->load(std::span(&part, 1), 1).ok());
          ASSERT_TRUE(drawsWeight(*plan, i));
          drawWeight(on, *plan, i, device.as());
          EXPECT_EQ(device.download<uint8_t>(), expected) << "weight " << i;
        }
      }
    }
  }
}

// A backend asks nobody for what it can draw, and for everything else.
TEST_F(RandomWeights, BackendsDrawThem) {
  for (bool random : {true, false}) {
    auto plans = plan::testing::examplePlans({.ranks = 1});
    if (random) plans = plan::testing::examplePlans({.ranks = 1, .seed = 5});
    const plan::Plan plan = plan::Plan::fromBytes(plan::pack(plans[0]), "rank.dplan").value();
    auto backend = makeCudaBackend({});
    ASSERT_TRUE(backend.ok()) << backend.error().message;
    std::vector<std::vector<uint8_t>> expected;
    std::vector<std::span<uint8_t>> places;
    for (const auto* weight : plan::rows(plan->weights())) {
      const size_t bytes = weightBytes(*weight);
      const auto memory = backend.value()->allocate(MemoryUse::kWeights, bytes);
      ASSERT_TRUE(memory.ok()) << memory.error().message;
      places.emplace_back(reinterpret_cast<uint8_t*>(memory.value()), bytes);
      expected.emplace_back(bytes, 0x77);
    }
    auto loader = WeightLoader::open(plan);
    if (random) {
      ASSERT_TRUE(loader.ok()) << loader.error().message;
      std::vector<std::span<uint8_t>> memory(expected.begin(), expected.end());
      ASSERT_TRUE(loader->load(wholeWeights(memory), 1).ok());
    }
    size_t asked = 0;
    const Status status = backend.value()->upload(*plan, places, [&](auto parts) {
      asked += parts.size();
      for (const WeightPart& part : parts)
        std::memset(part.memory.data(), 0x77, part.memory.size());
      return Status::success();
    });
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(asked, random ? 0 : expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      std::vector<uint8_t> got(expected[i].size());
      cudaMemcpy(got.data(), places[i].data(), got.size(), cudaMemcpyDeviceToHost);
      EXPECT_EQ(got, expected[i]) << "weight " << i;
    }
  }
}

}  // namespace
}  // namespace dcc::cuda
