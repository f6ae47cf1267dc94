#include "runtime/plan/traffic.h"

#include <algorithm>
#include <array>

#include "runtime/plan/access.h"

namespace dcc::plan {

WeightTraffic weightTraffic(const fb::Plan& plan, uint32_t entry) {
  WeightTraffic traffic;
  std::array<uint64_t, 256> of_type{};
  const auto bytes = [&](uint32_t index) {
    const fb::Weight& weight = *plan.weights()->Get(index);
    return weight.rows() * weight.cols() * byteSize(static_cast<DType>(weight.dtype()));
  };
  const auto readWhole = [&](uint32_t index) {
    traffic.whole += bytes(index);
    of_type[static_cast<uint8_t>(plan.weights()->Get(index)->dtype())] += bytes(index);
  };
  for (const fb::Instruction* instruction : rows(plan.entries()->Get(entry)->instructions())) {
    if (const fb::Gemm* gemm = instruction->body_as_Gemm()) {
      readWhole(gemm->weight());
      if (gemm->bias() >= 0) readWhole(static_cast<uint32_t>(gemm->bias()));
    } else if (const fb::Kernel* kernel = instruction->body_as_Kernel()) {
      for (const fb::Operand* operand : rows(kernel->operands())) {
        if (operand->kind() != fb::OperandKind::weight) continue;
        if (kernel->kind() == fb::KernelKind::embedding) {
          traffic.tables += bytes(operand->index());
        } else {
          readWhole(operand->index());
        }
      }
    }
  }
  const auto most = std::max_element(of_type.begin(), of_type.end());
  traffic.dtype = static_cast<DType>(most - of_type.begin());
  return traffic;
}

}  // namespace dcc::plan
