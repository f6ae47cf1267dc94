#include <algorithm>

#include "runtime/base/checked.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"

namespace dcc::plan {

void evaluateSizes(const fb::Plan& plan, std::span<const int64_t> variables,
                   std::span<int64_t> out) {
  size_t i = 0;
  for (const fb::SizeNode* node : rows(plan.sizes())) {
    auto a = [&] { return out[node->a()]; };
    auto b = [&] { return out[node->b()]; };
    switch (node->op()) {
      case fb::SizeOp::constant:
        out[i] = node->value();
        break;
      case fb::SizeOp::variable:
        out[i] = variables[node->a()];
        break;
      case fb::SizeOp::add:
        out[i] = a() + b();
        break;
      case fb::SizeOp::mul:
        out[i] = a() * b();
        break;
      case fb::SizeOp::ceil_div:
        out[i] = ceilDiv(a(), b());
        break;
      case fb::SizeOp::min:
        out[i] = std::min(a(), b());
        break;
      case fb::SizeOp::max:
        out[i] = std::max(a(), b());
        break;
    }
    ++i;
  }
}

}  // namespace dcc::plan
