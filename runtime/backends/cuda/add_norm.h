// An all_reduce and the add_rms_norm behind it as one.
#pragma once

#include "runtime/backends/views.h"

namespace dcc::cuda {

// What comes of the ranks' sum: sum = other + it, and out = sum's RMS norm with `weight`, [cols].
// All of them [rows, cols]; `sum` may be `other`, else nothing overlaps.
struct AddNorm {
  Matrix other, sum, out;
  const float* weight = nullptr;
  float eps = 0;
};

}  // namespace dcc::cuda
