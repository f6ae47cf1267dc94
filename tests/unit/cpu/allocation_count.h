// How often the calling thread has taken memory from the heap. Linking this replaces operator new.
#pragma once

#include <cstdint>

namespace dcc::cpu::testing {

int64_t allocations();

}  // namespace dcc::cpu::testing
