// What a rank needs of memory, from its plan alone.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "runtime/collectives/traffic.h"
#include "runtime/plan/plan.h"

namespace dcc::footprint {

// How the rank is run.
struct Running {
  uint32_t threads = 1;
  TransportKind transport = TransportKind::kSharedMemory;
};

// Bytes, by kind. Not in it: the process itself, and rank 0's tokenizer.
struct Memory {
  uint64_t weights = 0;
  uint64_t cache = 0;          // all page groups, every page in use
  uint64_t arena = 0;          // of the largest entry, at its bounds; entries take turns
  uint64_t workspace = 0;      // of kernels, likewise
  uint64_t tables = 0;         // the step's tokens and positions, and their rotary angles
  uint64_t communication = 0;  // memory shared with the other ranks, or sockets' buffers
  uint64_t results = 0;        // logits of all positions, a block at a time, where they are wanted
  uint64_t program = 0;        // the plan itself

  uint64_t total() const {
    return weights + cache + arena + workspace + tables + communication + results + program;
  }
};

struct MemoryKind {
  std::string_view name, key;  // for people and for JSON
  uint64_t Memory::*bytes;
};
inline constexpr std::array<MemoryKind, 8> kMemoryKinds = {{
    {"weights", "weights", &Memory::weights},
    {"KV cache", "kv_cache", &Memory::cache},
    {"arena", "arena", &Memory::arena},
    {"workspace", "workspace", &Memory::workspace},
    {"step tables", "step_tables", &Memory::tables},
    {"communication", "communication", &Memory::communication},
    {"results", "results", &Memory::results},
    {"plan", "plan", &Memory::program},
}};

// Of a verified plan.
Memory memoryOf(const plan::Plan& plan, const Running& running);

}  // namespace dcc::footprint
