// Attributes of kernels that have many, as every backend's kernels take them. What each means:
// runtime/plan/kernels.h. Pointers are to the backend's memory. Device code includes it.
#pragma once

#include <cstdint>

#include "runtime/backends/views.h"
#include "runtime/plan/functions.h"

namespace dcc {

struct AttentionShape {
  int64_t head_dim = 0;  // of keys
  float scale = 1;
  int64_t window = 0;  // 0: all
  int64_t chunk = 0;   // 0: none
  float softcap = 0;   // 0: none
  // Query head h reads KV head (first + h) / group; group 0: as many for each KV head.
  int64_t first = 0, group = 0;
  const float* sinks = nullptr;  // a score per query head
  // Tokens that a sequence can grow to, by the plan, which decides where its keys are cut into
  // segments; 0: nowhere.
  int64_t longest = 0;
};

struct RouteShape {
  int64_t k = 1;
  plan::Scores scores = plan::Scores::kSoftmax;
  bool normalize = false;
  float scale = 1;
  int64_t groups = 1, live = 1, best = 1;
  const float* bias = nullptr;  // of the choice
};

struct ExpertWeights {
  WeightView gate, up, down;  // [experts * n, k]
  const float* gate_bias = nullptr;
  const float* up_bias = nullptr;
  plan::Function function = plan::Function::kSilu;
  float limit = 0, alpha = 0;  // limit 0: none
  bool scaled_inputs = false;
};

}  // namespace dcc
