// Elements of files that exist only as a seed (plan.fbs, Random).
#pragma once

#include <cstdint>
#include <span>

#include "plan_generated.h"
#include "runtime/base/dtype.h"

namespace dcc {

// Writes elements [first, first + out.size() / byteSize(type)) of the file to `out`, which needs no
// alignment; `type` is f32, bf16 or f16. Element i is
//
//   mean + spread * (2 * u + 1 - 2^16) / 2^16
//
// in f32, rounded to `type`, where u is 16 bits of the stream: its words are those of SplitMix64
// with state mix(seed), and u is the (i % 4)-th part, lowest first, of word i / 4. So an element is
// the same whichever part of the file is asked for, by whom, and next to what.
void drawElements(const plan::fb::Random& random, DType type, uint64_t first,
                  std::span<uint8_t> out);

}  // namespace dcc
