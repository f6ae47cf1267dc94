// The largest of many floats.
#pragma once

#include <cstdint>
#include <span>

namespace dcc::generate {

struct Argmax {
  float value;
  int32_t index;  // of its first occurrence; -1 when there are no values or one is NaN
  bool nan;
};

Argmax argmax(std::span<const float> values);

}  // namespace dcc::generate
