#include "frontends/huggingface/dummy_weights.h"

#include <algorithm>
#include <charconv>

#include "runtime/base/checked.h"
#include "runtime/base/printable.h"

namespace dcc::huggingface {
namespace {

// The standard deviation of numbers drawn evenly is spread / sqrt(3), here 0.018: about
// transformers' initializer_range, with which activations keep their size through many layers and
// logits differ. A power of two, so that products with it are exact and no compiler's choice of
// fused multiply-adds changes a number.
constexpr float kSpread = 0x1p-5f;
constexpr uint32_t kWeights = 0, kNorms = 1;
// 64 TiB: far above any model, and far below where sums of sizes could overflow.
constexpr uint64_t kMostBytes = uint64_t{1} << 46;

}  // namespace

std::optional<WeightSource> parseWeightSource(std::string_view text) {
  if (text == "checkpoint") return WeightSource{};
  if (text == "dummy") return WeightSource{0};
  constexpr std::string_view kSeeded = "dummy:";
  if (!text.starts_with(kSeeded)) return std::nullopt;
  text.remove_prefix(kSeeded.size());
  uint64_t seed = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return WeightSource{seed};
}

DummyWeights::DummyWeights(std::string config, DType type, uint64_t seed)
    : config_(std::move(config)), type_(type), files_(2) {
  files_[kWeights].path = "dummy weights";
  files_[kWeights].random = {seed, 0, kSpread};
  files_[kNorms].path = "dummy norms";
  // By another seed, or they would repeat the first tensor.
  files_[kNorms].random = {seed + 1, 1, kSpread};
}

Result<const CheckpointTensor*> DummyWeights::require(std::string_view name,
                                                      std::span<const uint64_t> shape) {
  auto error = [&](const std::string& what) {
    return userError(config_ + ": tensor \"" + printable(name) + "\" of shape " + shapeText(shape) +
                     " " + what);
  };
  if (auto known = tensors_.find(name); known != tensors_.end()) {
    if (!std::ranges::equal(known->second.shape, shape)) {
      return error("is used as " + shapeText(known->second.shape) + " too; one shape is expected");
    }
    return &known->second;
  }
  std::optional<uint64_t> bytes = byteSize(type_);
  for (uint64_t size : shape) bytes = bytes ? checkedMul(*bytes, size) : bytes;
  const bool norm = shape.size() == 1 && !name.ends_with(".bias");
  const uint32_t file = norm ? kNorms : kWeights;
  const uint64_t offset = files_[file].bytes;
  if (!bytes || *bytes > kMostBytes - offset) {
    return error("does not fit into " + std::to_string(kMostBytes >> 40) +
                 " TiB; smaller sizes are expected");
  }
  files_[file].bytes += *bytes;
  CheckpointTensor tensor{
      file, std::string(dcc::name(type_)), {shape.begin(), shape.end()}, offset, *bytes};
  return &tensors_.emplace(name, std::move(tensor)).first->second;
}

}  // namespace dcc::huggingface
