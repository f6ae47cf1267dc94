// Element-for-element conversion of tensor data.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/base/dtype.h"

namespace dcc {

// Writes `count` elements of type `to` from elements of type `from`. Neither needs alignment; they
// must not overlap. Different types are f32, bf16 and f16 only; the plan's verifier sees to that.
void convertElements(DType from, const uint8_t* in, DType to, uint8_t* out, size_t count);

}  // namespace dcc
