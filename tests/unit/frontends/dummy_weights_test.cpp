#include "frontends/huggingface/dummy_weights.h"

#include <gtest/gtest.h>

namespace dcc::huggingface {
namespace {

using Shape = std::vector<uint64_t>;

const CheckpointTensor& require(DummyWeights& weights, std::string_view name, const Shape& shape) {
  Result<const CheckpointTensor*> tensor = weights.require(name, shape);
  EXPECT_TRUE(tensor.ok()) << tensor.error().message;
  return **tensor;
}

std::string errorOf(DummyWeights& weights, std::string_view name, const Shape& shape) {
  Result<const CheckpointTensor*> tensor = weights.require(name, shape);
  if (tensor.ok()) return "";
  EXPECT_EQ(tensor.error().fault, Fault::kUser);
  return tensor.error().message;
}

TEST(DummyWeights, TensorsLieOneAfterAnotherWithNormsApart) {
  DummyWeights weights("config.json", DType::kBF16, 7);
  const CheckpointTensor& table = require(weights, "embed.weight", {10, 4});
  const CheckpointTensor& norm = require(weights, "norm.weight", {4});
  const CheckpointTensor& bias = require(weights, "q.bias", {6});
  const CheckpointTensor& query = require(weights, "q.weight", {6, 4});
  EXPECT_EQ(table.offset, 0u);
  EXPECT_EQ(table.bytes, 80u);
  EXPECT_EQ(table.dtype, "bf16");
  EXPECT_EQ(table.shape, (Shape{10, 4}));
  EXPECT_EQ(bias.offset, 80u);
  EXPECT_EQ(query.offset, 92u);
  EXPECT_EQ(norm.offset, 0u);
  EXPECT_EQ(bias.file, table.file);
  EXPECT_EQ(query.file, table.file);
  ASSERT_NE(norm.file, table.file);
  ASSERT_EQ(weights.files().size(), 2u);
  EXPECT_EQ(weights.files()[table.file].bytes, 140u);
  EXPECT_EQ(weights.files()[norm.file].bytes, 8u);
  const RandomFile around_zero = *weights.files()[table.file].random;
  const RandomFile around_one = *weights.files()[norm.file].random;
  EXPECT_EQ(around_zero.seed, 7u);
  EXPECT_EQ(around_zero.mean, 0);
  EXPECT_EQ(around_one.mean, 1);
  EXPECT_NE(around_one.seed, around_zero.seed);
}

// Tied weights, and the other entries of a model.
TEST(DummyWeights, AskingAgainGivesTheSameTensor) {
  DummyWeights weights("config.json", DType::kF32, 0);
  const CheckpointTensor* first = &require(weights, "w", {2, 3});
  require(weights, "v", {5});
  EXPECT_EQ(&require(weights, "w", {2, 3}), first);
  EXPECT_EQ(weights.files()[first->file].bytes, 24u);
  EXPECT_EQ(
      errorOf(weights, "w", {3, 2}),
      "config.json: tensor \"w\" of shape [3, 2] is used as [2, 3] too; one shape is expected");
}

TEST(DummyWeights, SizesThatNoFileHas) {
  DummyWeights weights("config.json", DType::kF32, 0);
  const std::string tail = " does not fit into 64 TiB; smaller sizes are expected";
  EXPECT_EQ(errorOf(weights, "a", {INT32_MAX, INT32_MAX}),
            "config.json: tensor \"a\" of shape [2147483647, 2147483647]" + tail);
  EXPECT_EQ(errorOf(weights, "b", {uint64_t{1} << 32, uint64_t{1} << 32}),  // overflows
            "config.json: tensor \"b\" of shape [4294967296, 4294967296]" + tail);
  const uint64_t half = uint64_t{1} << 43;  // elements of half of what fits
  require(weights, "c", {1, half});
  require(weights, "d", {1, half - 1});
  EXPECT_NE(errorOf(weights, "e", {1, 2}), "");
  require(weights, "f", {1, 1});
}

}  // namespace
}  // namespace dcc::huggingface
