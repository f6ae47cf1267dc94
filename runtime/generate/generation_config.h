// What a model's files say about its texts: where they begin and end, and how tokens are drawn.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/generate/sampling.h"

namespace dcc::generate {

// How to draw, as far as somebody says it.
struct SamplingChoice {
  std::optional<double> temperature = std::nullopt;         // >= 0; 0: the likeliest token
  std::optional<uint32_t> top_k = std::nullopt;             // 0: all
  std::optional<double> top_p = std::nullopt;               // [0, 1]
  std::optional<double> min_p = std::nullopt;               // [0, 1]
  std::optional<double> repetition_penalty = std::nullopt;  // > 0
  std::optional<uint64_t> seed = std::nullopt;
};

struct GenerationConfig {
  std::vector<int32_t> eos;    // any of them ends a sequence
  std::optional<int32_t> bos;  // what a text without a prompt begins with
  bool do_sample = false;      // tokens are drawn; otherwise the likeliest are taken
  SamplingChoice sampling;
  std::optional<uint32_t> max_new_tokens;
  // What generation_config.json asks for and is not built: "DIR/generation_config.json: num_beams:
  // is 4; ...". Empty: nothing. An error to who generates, and to nobody else.
  std::string unsupported;
};

// From generation_config.json of `dir`; ids that it doesn't name, from config.json; both may be
// absent. Errors (user) name file and field: damaged files, values of the wrong type or out of
// range.
Result<GenerationConfig> readGenerationConfig(const std::string& dir);

// What transformers' generate would do with the file, but where `given` says otherwise. The file
// decides whether tokens are drawn, unless a temperature is given (0: they are not) or how to draw
// them (they are). Fields that neither names are transformers' defaults; its top_k of 50 only where
// the file asks for draws.
SamplingOptions chooseSampling(const GenerationConfig& config, const SamplingChoice& given);

}  // namespace dcc::generate
