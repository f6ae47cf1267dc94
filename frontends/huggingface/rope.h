// Rotary position embeddings: the frequencies a config.json asks for.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "frontends/huggingface/config.h"
#include "runtime/base/status.h"

namespace dcc::huggingface {

struct Rope {
  // Dynamic NTK scaling: sequences longer than `original_positions` get other frequencies, by the
  // formula at `rope` in runtime/plan/kernels.h.
  struct Dynamic {
    double theta;
    double factor;
    int64_t original_positions;
  };

  // rotary_dim / 2 of them: column pair i turns by position * frequencies[i] radians.
  std::vector<float> frequencies;
  // cos and sin are multiplied by it (yarn's attention factor; 1 for the other types).
  float scale = 1;
  std::optional<Dynamic> dynamic;
  // Those of sequences longer than `original_positions` (longrope); empty: no others.
  std::vector<float> beyond;
  int64_t original_positions = 0;
};

// What a model family knows.
struct RopeModel {
  int64_t rotary_dim;               // columns of a head that turn; even
  int64_t max_position_embeddings;  // the config's
  double default_theta = 10000.0;
  // Where theta stands beside the block.
  std::string_view theta_key = "rope_theta";
  // original_max_position_embeddings where the config, beside the block, doesn't say; 0: it stands
  // in the block, or else is max_position_embeddings.
  int64_t default_original_positions = 0;
  bool only_longrope = false;  // any scaling is longrope, also what old files call yarn (phi3)
};

// rope_scaling, or rope_parameters as transformers 5 writes it; none where there is neither.
std::optional<ConfigReader> ropeBlock(const ConfigReader& config);

// Reads the types default, linear, dynamic, llama3, yarn and longrope from ropeBlock(), or from a
// block of the family's choice (none: unscaled), and what stands beside it in the config. Computed
// in float32 where torch does, so that the frequencies are transformers' to the last bit or the one
// beside it. Errors (user): any field out of range, types not supported; also the reader's earlier
// errors.
Result<Rope> readRope(const ConfigReader& config, const RopeModel& model);
Result<Rope> readRope(const ConfigReader& config, const std::optional<ConfigReader>& block,
                      const RopeModel& model);

}  // namespace dcc::huggingface
