// `dcc explain`: what a plan directory costs and why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/base/status.h"
#include "runtime/footprint/memory.h"

namespace dcc {

struct ExplainOptions {
  std::string directory;
  bool json = false;
  // Only the collectives of this layer, each by itself.
  std::optional<uint32_t> layer;
  // The step whose bytes are told; absent: as much as an entry takes.
  std::optional<uint32_t> tokens, seqs;
  // Of each rank; absent: what drun would take on this machine.
  std::optional<uint32_t> threads;
  TransportKind transport = TransportKind::kSharedMemory;
};

// The text to print, or one JSON object: what a rank needs of memory, by kind; per entry its
// collectives, the rule that caused each, who needs it and why it is still there; the bytes that a
// rank puts into them, sends and receives in a step. Errors (user): no plan directory; a layer or a
// step that the plan doesn't have.
Result<std::string> explain(const ExplainOptions& options);

}  // namespace dcc
