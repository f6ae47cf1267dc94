// Elements stored in few bits, whose blocks share a scale: what plan.fbs calls Decoding::mxfp4 and
// Decoding::f8e4m3.
#pragma once

#include <cstdint>

#include "plan_generated.h"

namespace dcc {

// Bytes of `elements` of an encoding, from the one with index `first` on (mxfp4 has two to a byte).
constexpr uint64_t encodedBytes(plan::fb::Decoding decoding, uint64_t first, uint64_t elements) {
  if (decoding != plan::fb::Decoding::mxfp4) return elements;
  return (first + elements + 1) / 2 - first / 2;
}
// Of one scale.
constexpr uint64_t scaleBytes(plan::fb::Decoding decoding) {
  return decoding == plan::fb::Decoding::mxfp4 ? 1 : 4;
}

// out[i] = element first + i times its scale, for the `count` elements of one row from column
// `column` on. `in` begins at the byte of the first, `scales` at the scale of its block; blocks are
// `width` columns. f32 arithmetic; what is no number stays so.
//   mxfp4    E2M1, the element of even index in the low half of a byte; scales E8M0, 2^(s - 127)
//            (OCP Microscaling Formats 1.0)
//   f8e4m3   E4M3 without infinities (OCP 8-bit Floating Point 1.0); scales f32
void decodeRow(plan::fb::Decoding decoding, const uint8_t* in, uint64_t first, uint64_t column,
               uint64_t width, const uint8_t* scales, float* out, uint64_t count);

}  // namespace dcc
