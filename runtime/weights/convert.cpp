#include "runtime/weights/convert.h"

#include <cstring>

#include "runtime/base/float_bits.h"

namespace dcc {
namespace {

// Loads and stores through memcpy: a file's tensors begin at any byte.
template <class In, class Out, class F>
void loop(const uint8_t* in, uint8_t* out, size_t count, F convert) {
  for (size_t i = 0; i < count; ++i) {
    In x;
    std::memcpy(&x, in + i * sizeof(In), sizeof(In));
    Out y = convert(x);
    std::memcpy(out + i * sizeof(Out), &y, sizeof(Out));
  }
}

}  // namespace

void convertElements(DType from, const uint8_t* in, DType to, uint8_t* out, size_t count) {
  if (from == to) {
    std::memcpy(out, in, count * byteSize(from));
    return;
  }
  if (to == DType::kF32) {
    if (from == DType::kBF16) loop<uint16_t, float>(in, out, count, bf16ToF32);
    if (from == DType::kF16) loop<uint16_t, float>(in, out, count, f16ToF32);
  } else if (from == DType::kF32) {
    if (to == DType::kBF16) loop<float, uint16_t>(in, out, count, f32ToBf16);
    if (to == DType::kF16) loop<float, uint16_t>(in, out, count, f32ToF16);
  } else if (from == DType::kBF16) {
    loop<uint16_t, uint16_t>(in, out, count, [](uint16_t x) { return f32ToF16(bf16ToF32(x)); });
  } else {
    loop<uint16_t, uint16_t>(in, out, count, [](uint16_t x) { return f32ToBf16(f16ToF32(x)); });
  }
}

}  // namespace dcc
