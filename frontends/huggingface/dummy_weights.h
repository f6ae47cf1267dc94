// Weights for models of which there is only a config.json: every tensor that is asked for exists,
// its elements drawn at random by a seed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "frontends/huggingface/checkpoint.h"
#include "runtime/base/dtype.h"

namespace dcc::huggingface {

// Where weights come from: a checkpoint or, with a seed, nowhere.
struct WeightSource {
  std::optional<uint64_t> dummy_seed;
};
// "checkpoint", "dummy" (seed 0) or "dummy:SEED"; nothing for anything else.
std::optional<WeightSource> parseWeightSource(std::string_view text);
// What parseWeightSource takes, for messages.
constexpr std::string_view kWeightSources =
    "checkpoint, dummy or dummy:SEED with a seed from 0 to 18446744073709551615";

// The tensors lie one after another, in the order in which they are first asked for, in two files
// that nobody has: one drawn around 0, and one around 1 for the weights of norms.
class DummyWeights : public TensorSource {
 public:
  // `type`: f32, bf16 or f16. `config` is the file that gives the shapes, for errors.
  DummyWeights(std::string config, DType type, uint64_t seed);

  // Errors (user): another shape than before; more bytes than a file can have.
  Result<const CheckpointTensor*> require(std::string_view name,
                                          std::span<const uint64_t> shape) override;
  // Nothing is encoded.
  bool has(std::string_view name) const override { return !name.ends_with("_blocks"); }
  const std::vector<CheckpointFile>& files() const override { return files_; }

 private:
  std::string config_;
  DType type_;
  std::vector<CheckpointFile> files_;
  std::map<std::string, CheckpointTensor, std::less<>> tensors_;
};

}  // namespace dcc::huggingface
