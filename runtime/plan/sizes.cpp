#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/size_value.h"

namespace dcc::plan {

void evaluateSizes(const fb::Plan& plan, std::span<const int64_t> variables,
                   std::span<int64_t> out) {
  size_t i = 0;
  for (const fb::SizeNode* node : rows(plan.sizes())) {
    out[i] = sizeValue(*node, variables, out);
    ++i;
  }
}

}  // namespace dcc::plan
