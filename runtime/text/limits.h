// Bounds on what text may become, so that a malicious tokenizer.json can't exhaust memory.
#pragma once

#include <cstddef>
#include <string>

#include "runtime/base/status.h"

namespace dcc::text {

// Bytes of a text, at any stage; ICU and the models' positions count in 32 bits.
constexpr size_t kMostTextBytes = size_t{1} << 30;
// How much longer normalizers or pre-tokenizers may make it: NFKD needs 11 times, a visible
// space 3.
constexpr size_t kMostGrowth = 64;
constexpr size_t kAlwaysAllowed = size_t{1} << 20;
// Of one kind in tokenizer.json, one behind the other; real files have up to six.
constexpr size_t kMostSteps = 64;
constexpr size_t kMostPatternBytes = size_t{1} << 16;  // of a regular expression

inline Status checkSteps(const std::string& where, size_t steps) {
  if (steps <= kMostSteps) return Status::success();
  return userError(where + ": has " + std::to_string(steps) + " steps; at most " +
                   std::to_string(kMostSteps) + " are expected");
}

inline Status checkTextSize(size_t bytes) {
  if (bytes < kMostTextBytes) return Status::success();
  return userError("text: has " + std::to_string(bytes) + " bytes; less than 1 GiB is expected");
}

// After a change of a text of `before` bytes, which has passed checkTextSize.
inline Status checkGrowth(size_t before, size_t after) {
  if (after >= kMostTextBytes || after > kMostGrowth * before + kAlwaysAllowed) {
    return userError("text: grows from " + std::to_string(before) + " to " + std::to_string(after) +
                     " bytes; at most " + std::to_string(kMostGrowth) +
                     " times its length is expected");
  }
  return Status::success();
}

}  // namespace dcc::text
