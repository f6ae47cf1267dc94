#include "runtime/footprint/work.h"

#include <algorithm>

#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"
#include "runtime/plan/access.h"
#include "runtime/plan/traffic.h"

namespace dcc::footprint {
namespace {

namespace fb = plan::fb;

// What is needed to count one instruction.
struct Counted {
  const fb::Plan& plan;
  const fb::Entry& entry;
  std::span<const int64_t> sizes;
  std::span<const SequencePart> sequences;

  uint64_t rowsOf(uint32_t buffer) const {
    return static_cast<uint64_t>(sizes[entry.buffers()->Get(buffer)->rows()]);
  }
  uint64_t colsOf(uint32_t buffer) const { return entry.buffers()->Get(buffer)->cols(); }
  const fb::Weight& weight(uint32_t index) const { return *plan.weights()->Get(index); }
  uint64_t weightBytes(uint32_t index) const {
    return weight(index).rows() * weight(index).cols() * elementBytes(weight(index).dtype());
  }
  static uint64_t elementBytes(fb::DType dtype) { return byteSize(static_cast<DType>(dtype)); }
};

Work gemmWork(const Counted& c, const fb::Gemm& gemm) {
  const fb::Weight& weight = c.weight(gemm.weight());
  Work work;
  work.bytes = c.weightBytes(gemm.weight());
  if (gemm.bias() >= 0) work.bytes += c.weightBytes(static_cast<uint32_t>(gemm.bias()));
  work.flops = 2 * c.rowsOf(gemm.a()) * weight.rows() * weight.cols();
  return work;
}

// Bytes of a token's keys and values on this rank.
uint64_t slotBytes(const fb::Cache& cache) {
  return uint64_t{cache.heads()} * (cache.k_dim() + cache.v_dim()) *
         Counted::elementBytes(cache.dtype());
}

Work attentionWork(const Counted& c, const fb::Kernel& kernel) {
  const int64_t window = plan::integerAttr(kernel, fb::AttrKey::window);
  const int64_t chunk = plan::integerAttr(kernel, fb::AttrKey::chunk);
  // The first position that a token sees.
  const auto oldest = [&](int64_t position) {
    int64_t first = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
    if (chunk > 0) first = std::max(first, position - position % chunk);
    return first;
  };
  uint64_t pairs = 0, slots = 0;
  for (const SequencePart& sequence : c.sequences) {
    const int64_t end = int64_t{sequence.first} + sequence.tokens;
    for (int64_t p = sequence.first; p < end; ++p) {
      pairs += static_cast<uint64_t>(p - oldest(p) + 1);
    }
    slots += static_cast<uint64_t>(end - oldest(sequence.first));
  }
  const auto operands = plan::rows(kernel.operands());
  Work work;
  work.bytes = slots * slotBytes(*c.plan.caches()->Get(operands[1]->index()));
  // Scores take a multiplication for each column of the queries, sums of values for each of the
  // results'.
  work.flops = 2 * pairs * (c.colsOf(operands[0]->index()) + c.colsOf(operands[2]->index()));
  return work;
}

Work expertsWork(const Counted& c, const fb::Kernel& kernel, uint32_t instruction) {
  const auto operands = plan::rows(kernel.operands());
  const plan::Routing routing = plan::routingOf(c.entry, instruction);
  const uint64_t tokens = c.rowsOf(operands[0]->index());
  uint64_t bytes = 0, elements = 0;
  for (const fb::Operand* operand : operands) {
    if (operand->kind() == fb::OperandKind::weight) bytes += c.weightBytes(operand->index());
  }
  for (uint32_t i = 2; i < 5; ++i) {  // gate, up, down
    const fb::Weight& weight = c.weight(operands[i]->index());
    elements += weight.rows() * weight.cols();
  }
  const uint64_t chosen = tokens * routing.chosen;
  return {std::min(bytes, ceilDiv(bytes, routing.of) * chosen),
          2 * ceilDiv(elements, routing.of) * chosen};
}

Work kernelWork(const Counted& c, const fb::Kernel& kernel, uint32_t instruction) {
  const auto operands = plan::rows(kernel.operands());
  Work work;
  switch (kernel.kind()) {
    case fb::KernelKind::attention:
      return attentionWork(c, kernel);
    case fb::KernelKind::experts:
      return expertsWork(c, kernel, instruction);
    case fb::KernelKind::embedding: {
      const fb::Weight& table = c.weight(operands[1]->index());
      work.bytes =
          c.rowsOf(operands[2]->index()) * table.cols() * Counted::elementBytes(table.dtype());
      return work;
    }
    case fb::KernelKind::kv_write:
      work.bytes =
          c.rowsOf(operands[0]->index()) * slotBytes(*c.plan.caches()->Get(operands[2]->index()));
      return work;
    default:
      for (const fb::Operand* operand : operands) {
        if (operand->kind() == fb::OperandKind::weight) {
          work.bytes += c.weightBytes(operand->index());
        }
      }
      return work;
  }
}

}  // namespace

Work workOf(const fb::Plan& plan, const fb::Entry& entry, uint32_t instruction,
            std::span<const int64_t> sizes, std::span<const SequencePart> sequences) {
  const Counted counted{plan, entry, sizes, sequences};
  const fb::Instruction& i = *entry.instructions()->Get(instruction);
  if (const fb::Gemm* gemm = i.body_as_Gemm()) return gemmWork(counted, *gemm);
  if (const fb::Kernel* kernel = i.body_as_Kernel()) {
    return kernelWork(counted, *kernel, instruction);
  }
  const fb::Collective& collective = *i.body_as_Collective();
  const fb::Buffer& in = *entry.buffers()->Get(collective.input());
  return {counted.rowsOf(collective.input()) * in.cols() * Counted::elementBytes(in.dtype()), 0};
}

}  // namespace dcc::footprint
