// What a model's files say about where its texts begin and end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/status.h"

namespace dcc::generate {

struct GenerationConfig {
  std::vector<int32_t> eos;    // any of them ends a sequence
  std::optional<int32_t> bos;  // what a text without a prompt begins with
};

// From generation_config.json of `dir`, and what it doesn't say from config.json; both may be
// absent. Errors (user): damaged files, ids that are no integers.
Result<GenerationConfig> readGenerationConfig(const std::string& dir);

}  // namespace dcc::generate
