#include "runtime/plan/traffic.h"

#include <algorithm>
#include <array>

#include "runtime/base/checked.h"
#include "runtime/plan/access.h"
#include "runtime/plan/dataflow.h"

namespace dcc::plan {
namespace {

uint64_t bytesOf(const fb::Plan& plan, uint32_t index) {
  const fb::Weight& weight = *plan.weights()->Get(index);
  return weight.rows() * weight.cols() * byteSize(static_cast<DType>(weight.dtype()));
}

// The last instruction before `instruction` that writes to the buffer's memory.
std::optional<uint32_t> writerOf(const fb::Entry& entry, uint32_t instruction, uint32_t buffer) {
  const uint32_t root = rootOf(entry, buffer);
  for (uint32_t i = instruction; i-- > 0;) {
    for (const Write& write : accessesOf(*entry.instructions()->Get(i)).writes) {
      if (rootOf(entry, write.buffer) == root) return i;
    }
  }
  return std::nullopt;
}

}  // namespace

Routing routingOf(const fb::Entry& entry, uint32_t instruction) {
  const fb::Kernel& experts = *entry.instructions()->Get(instruction)->body_as_Kernel();
  uint32_t buffer = experts.operands()->Get(1)->index();
  // From the gates back: a rank's part of them is sliced or gathered from what a route wrote.
  for (std::optional<uint32_t> at = writerOf(entry, instruction, buffer); at;
       at = writerOf(entry, *at, buffer)) {
    const fb::Instruction& writer = *entry.instructions()->Get(*at);
    const fb::Kernel* kernel = writer.body_as_Kernel();
    const Accesses accesses = accessesOf(writer);
    if (kernel && kernel->kind() == fb::KernelKind::route) {
      const uint64_t of = entry.buffers()->Get(accesses.writes[0].buffer)->cols();
      return {std::min(static_cast<uint64_t>(integerAttr(*kernel, fb::AttrKey::k)), of), of};
    }
    if (accesses.reads.empty()) break;
    buffer = accesses.reads[0];
  }
  return {};
}

uint64_t WeightTraffic::expertsOf(uint64_t tokens) const {
  const std::optional<uint64_t> wanted = checkedMul(experts_of_token, tokens);
  return wanted ? std::min(experts, *wanted) : experts;
}

WeightTraffic weightTraffic(const fb::Plan& plan, uint32_t entry) {
  WeightTraffic traffic;
  std::array<uint64_t, 256> of_type{};
  const auto add = [&](uint32_t index, uint64_t& to) {
    to += bytesOf(plan, index);
    of_type[static_cast<uint8_t>(plan.weights()->Get(index)->dtype())] += bytesOf(plan, index);
  };
  const fb::Entry& e = *plan.entries()->Get(entry);
  for (uint32_t i = 0; i < rows(e.instructions()).size(); ++i) {
    const fb::Instruction* instruction = e.instructions()->Get(i);
    if (const fb::Gemm* gemm = instruction->body_as_Gemm()) {
      add(gemm->weight(), traffic.whole);
      if (gemm->bias() >= 0) add(static_cast<uint32_t>(gemm->bias()), traffic.whole);
    } else if (const fb::Kernel* kernel = instruction->body_as_Kernel()) {
      uint64_t experts = 0;
      for (const fb::Operand* operand : rows(kernel->operands())) {
        if (operand->kind() != fb::OperandKind::weight) continue;
        if (kernel->kind() == fb::KernelKind::embedding) {
          traffic.tables += bytesOf(plan, operand->index());
        } else {
          const bool routed = kernel->kind() == fb::KernelKind::experts;
          add(operand->index(), routed ? experts : traffic.whole);
        }
      }
      if (experts == 0) continue;
      const Routing routing = routingOf(e, i);
      traffic.experts += experts;
      traffic.experts_of_token += ceilDiv(experts, routing.of) * routing.chosen;
    }
  }
  const auto most = std::max_element(of_type.begin(), of_type.end());
  traffic.dtype = static_cast<DType>(most - of_type.begin());
  return traffic;
}

}  // namespace dcc::plan
