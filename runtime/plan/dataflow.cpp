#include "runtime/plan/dataflow.h"

#include "runtime/plan/access.h"
#include "runtime/plan/kernels.h"

namespace dcc::plan {
namespace {

// Sums pass through these: a part of the input's sum becomes a part of the result's.
bool isLinear(const fb::Instruction& instruction) {
  const fb::Kernel* kernel = instruction.body_as_Kernel();
  if (!kernel) return false;
  switch (kernel->kind()) {
    case fb::KernelKind::add:
    case fb::KernelKind::last_token:
    case fb::KernelKind::slice_columns:
    case fb::KernelKind::slice_rows:
      return true;
    default:
      return false;
  }
}

}  // namespace

Accesses accessesOf(const fb::Instruction& instruction) {
  if (const fb::Gemm* gemm = instruction.body_as_Gemm()) {
    return {{gemm->a()}, {{gemm->out(), 0}}};
  }
  if (const fb::Collective* c = instruction.body_as_Collective()) {
    bool in_place = c->kind() == fb::CollectiveKind::all_reduce;
    Accesses accesses{{c->input()}, {{c->output(), in_place ? 1u : 0u}}};
    if (c->gates() >= 0) accesses.reads.push_back(static_cast<uint32_t>(c->gates()));
    return accesses;
  }
  Accesses accesses;
  const fb::Kernel& kernel = *instruction.body_as_Kernel();
  const KernelInfo& info = *kernelInfo(kernel.kind());
  // Input buffers are a kernel's first operands, so their positions are those of `reads`.
  for (uint32_t i = 0; i < kernel.operands()->size(); ++i) {
    uint32_t index = kernel.operands()->Get(i)->index();
    if (info.operands[i].role == Role::kInput) accesses.reads.push_back(index);
    if (info.operands[i].role == Role::kOutput) {
      accesses.writes.push_back({index, info.operands[i].in_place_of});
    }
  }
  return accesses;
}

uint32_t rootOf(const fb::Entry& entry, uint32_t buffer) {
  const int32_t base = entry.buffers()->Get(buffer)->view_of();
  return base >= 0 ? static_cast<uint32_t>(base) : buffer;
}

std::vector<bool> partialResults(const fb::Entry& entry) {
  const auto instructions = rows(entry.instructions());
  std::vector<bool> results(instructions.size());
  // Backwards: whether what the buffer holds at this place is part of a sum.
  std::vector<bool> partial(rows(entry.buffers()).size());
  for (uint32_t i = instructions.size(); i-- > 0;) {
    const Accesses accesses = accessesOf(*instructions[i]);
    for (const Write& write : accesses.writes) {
      const uint32_t root = rootOf(entry, write.buffer);
      results[i] = results[i] || partial[root];
      if (root == write.buffer) partial[root] = false;
    }
    const fb::Collective* collective = instructions[i]->body_as_Collective();
    const bool sums = collective && collective->reduction() != fb::Reduction::none;
    if (!sums && !(results[i] && isLinear(*instructions[i]))) continue;
    for (uint32_t buffer : accesses.reads) {
      const bool gates = sums && static_cast<int64_t>(buffer) == collective->gates();
      partial[rootOf(entry, buffer)] = partial[rootOf(entry, buffer)] || !gates;
    }
  }
  return results;
}

}  // namespace dcc::plan
