#include "runtime/footprint/memory.h"

#include <algorithm>
#include <set>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"
#include "runtime/footprint/traffic.h"
#include "runtime/generate/gather.h"
#include "runtime/plan/access.h"
#include "runtime/plan/mesh.h"
#include "runtime/plan/workspace.h"

namespace dcc::footprint {
namespace {

namespace fb = plan::fb;
using plan::rows;
using plan::text;

constexpr uint64_t kAlignment = 64;  // of weights in their block

// Rotary angles: the same constant with the same attributes is one table of an entry.
uint64_t angleBytes(const fb::Plan& plan, const fb::Entry& entry) {
  using Table = std::vector<double>;
  std::set<Table> tables;
  uint64_t floats = 0;
  for (const fb::Instruction* instruction : rows(entry.instructions())) {
    const fb::Kernel* kernel = instruction->body_as_Kernel();
    if (!kernel || kernel->kind() != fb::KernelKind::rope) continue;
    const uint32_t constant = kernel->operands()->Get(2)->index();
    Table table = {static_cast<double>(constant)};
    for (const fb::Attr* attr : rows(kernel->attrs())) {
      if (attr->key() == fb::AttrKey::head_dim || attr->key() == fb::AttrKey::interleaved) continue;
      table.insert(table.end(),
                   {static_cast<double>(attr->key()), attr->f(), static_cast<double>(attr->i())});
    }
    if (!tables.insert(std::move(table)).second) continue;
    floats +=
        2 * uint64_t{plan.max_tokens()} * rows(plan.constants()->Get(constant)->values()).size();
  }
  return floats * sizeof(float);
}

uint64_t communicationBytes(const fb::Plan& plan, TransportKind transport) {
  uint64_t bytes = 0;
  for (uint32_t axis = 0; axis < rows(plan.mesh()).size(); ++axis) {
    const GroupShape group{transport, plan::coordinate(plan, axis), plan.mesh()->Get(axis)->size()};
    TcpScratch most;
    for (const fb::Entry* entry : rows(plan.entries())) {
      const std::vector<int64_t> sizes =
          sizesAt(plan, entry->bounds()->Get(plan::kT), entry->bounds()->Get(plan::kB));
      for (const fb::Instruction* instruction : rows(entry->instructions())) {
        const fb::Collective* collective = instruction->body_as_Collective();
        if (!collective || collective->axis() != axis) continue;
        const TcpScratch scratch = movedBy(plan, *entry, *collective, sizes, transport).scratch;
        most.each_peer = std::max(most.each_peer, scratch.each_peer);
        most.own = std::max(most.own, scratch.own);
      }
    }
    bytes += communicatorBytes(group) + (group.ranks - 1) * most.each_peer + most.own;
  }
  return bytes;
}

// What rank 0 gathers, and what it makes of that (generate::StepLoop).
uint64_t resultBytes(const fb::Plan& plan, const fb::Entry& entry) {
  uint64_t most = 0;
  for (const fb::Output* output : rows(entry.outputs())) {
    const uint64_t own = entry.buffers()->Get(output->buffer())->cols();
    const bool cut = output->axis() >= 0;
    const uint64_t all = cut ? output->columns() : own;
    const auto tokens = static_cast<uint64_t>(entry.bounds()->Get(plan::kT));
    const uint64_t n = std::min<uint64_t>(generate::gatherRows(all), tokens);
    const uint64_t columns = own + (cut ? all : 0) + (plan.rank() == 0 ? output->columns() : 0);
    most = std::max(most, n * columns * sizeof(float));
  }
  return most;
}

}  // namespace

Memory memoryOf(const plan::Plan& plan, const Running& running) {
  Memory memory;
  for (const fb::Weight* weight : rows(plan->weights())) {
    memory.weights +=
        alignUp(weight->rows() * weight->cols() * byteSize(static_cast<DType>(weight->dtype())),
                kAlignment);
  }
  for (const fb::PageGroup* group : rows(plan->page_groups())) {
    memory.cache += group->pages() * group->bytes_per_page();
  }
  const uint64_t inputs = plan->token_types() > 0 ? 3 : 2;
  memory.tables = inputs * plan->max_tokens() * sizeof(int32_t);
  for (const fb::Entry* entry : rows(plan->entries())) {
    memory.arena = std::max(memory.arena, entry->arena_bytes());
    memory.workspace =
        std::max(memory.workspace, plan::workspaceBytes(*plan, *entry, running.threads));
    memory.tables += angleBytes(*plan, *entry);
    // Where every position has logits.
    if (text(entry->name()) == "logits") memory.results = resultBytes(*plan, *entry);
  }
  memory.communication = communicationBytes(*plan, running.transport);
  memory.program = plan.bytes().size();
  return memory;
}

}  // namespace dcc::footprint
