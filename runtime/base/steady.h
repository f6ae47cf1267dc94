// The clock that times of several processes are told by.
#pragma once

#include <chrono>
#include <cstdint>

namespace dcc {

// Nanoseconds of a clock that all processes of a machine share.
inline int64_t steadyNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace dcc
