// `dcc inspect`: what was compiled, at any phase.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace dcc {

struct InspectOptions {
  std::string directory;
  std::string phase;             // "": collectives, the sharded IR
  std::optional<int64_t> layer;  // only this layer's weights and ops
  std::optional<int64_t> rank;   // the rank's plan file instead of IR
};

// The text to print.
Result<std::string> inspect(const InspectOptions& options);

// Where a plan directory keeps the IR of a phase, relative to it: "ir/3_collectives.mlir".
std::string irFileName(std::string_view phase);

}  // namespace dcc
