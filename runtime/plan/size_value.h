// The value of one size expression.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "plan_generated.h"
#include "runtime/base/checked.h"

namespace dcc::plan {

// `values` holds those of the nodes before it. The plan is verified and the variables are within an
// entry's bounds, so nothing overflows.
inline int64_t sizeValue(const fb::SizeNode& node, std::span<const int64_t> variables,
                         std::span<const int64_t> values) {
  switch (node.op()) {
    case fb::SizeOp::constant:
      return node.value();
    case fb::SizeOp::variable:
      return variables[node.a()];
    case fb::SizeOp::add:
      return values[node.a()] + values[node.b()];
    case fb::SizeOp::mul:
      return values[node.a()] * values[node.b()];
    case fb::SizeOp::ceil_div:
      return ceilDiv(values[node.a()], values[node.b()]);
    case fb::SizeOp::min:
      return std::min(values[node.a()], values[node.b()]);
    case fb::SizeOp::max:
      return std::max(values[node.a()], values[node.b()]);
  }
  return 0;
}

}  // namespace dcc::plan
