// Whether a backend can run a plan.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "plan_generated.h"
#include "runtime/base/status.h"

namespace dcc {

// What a backend does of what a plan may ask for. Types are f32, bf16 and f16, weights row-major,
// sums over ranks f32.
struct Abilities {
  std::string_view name;
  std::function<bool(plan::fb::KernelKind)> has_kernel;
  std::function<bool(const plan::fb::Collective&)> has_collective;
  int64_t max_head_dim = 0;
  bool invariant = true;  // has invariant numerics
};

// User error that lists everything the plan needs and the backend lacks, each with the first module
// that wants it.
Status checkPlan(const plan::fb::Plan& plan, const Abilities& abilities);

}  // namespace dcc
