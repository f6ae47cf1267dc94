// What an instruction reads and writes.
#pragma once

#include <cstdint>
#include <vector>

#include "plan_generated.h"

namespace dcc::plan {

// An output and the inputs it may share memory with, as bits over `reads` of Accesses.
struct Write {
  uint32_t buffer;
  uint32_t in_place_of;
};

struct Accesses {
  std::vector<uint32_t> reads;  // buffers
  std::vector<Write> writes;
};

// The instruction's operands are verified.
Accesses accessesOf(const fb::Instruction& instruction);

// The buffer that owns a buffer's memory: itself, unless it is a view.
uint32_t rootOf(const fb::Entry& entry, uint32_t buffer);

// Per instruction of a verified entry: whether what it writes is a rank's part of a sum that a
// later all_reduce or reduce_scatter makes.
std::vector<bool> partialResults(const fb::Entry& entry);

}  // namespace dcc::plan
