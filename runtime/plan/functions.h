// Functions that a kernel's attributes name by number. The numbers never change. Includes nothing
// of a plan: device code includes it.
#pragma once

#include <cstdint>

namespace dcc::plan {

// Values of AttrKey.function.
enum class Function : int64_t {
  kSilu = 0,
  kGelu = 1,
  kGeluTanh = 2,
  kRelu = 3,
  kSigmoid = 4,
  kTanh = 5,
  kRelu2 = 6  // relu(x)^2
};
inline constexpr int64_t kFunctions = 7;

// Values of AttrKey.scores.
enum class Scores : int64_t { kSoftmax = 0, kSigmoid = 1 };

}  // namespace dcc::plan
