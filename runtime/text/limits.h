// Bounds on what text may become, so that a malicious tokenizer.json can't exhaust memory.
#pragma once

#include <cstddef>
#include <string>

#include "runtime/base/status.h"

namespace dcc::text {

// Bytes of a text, at any stage; ICU and the model's positions count in 32 bits.
constexpr size_t kMostTextBytes = size_t{1} << 30;

inline Status checkTextSize(size_t bytes) {
  if (bytes < kMostTextBytes) return Status::success();
  return userError("text: has " + std::to_string(bytes) + " bytes; less than 1 GiB is expected");
}

}  // namespace dcc::text
