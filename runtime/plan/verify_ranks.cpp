#include "runtime/base/printable.h"
#include "runtime/plan/access.h"
#include "runtime/plan/directory.h"
#include "runtime/plan/manifest.h"
#include "runtime/plan/mesh.h"

namespace dcc::plan {
namespace {

// Rank 0 makes the steps of all ranks: what it reads from its own plan must hold for the others.
Hash interfaceHash(const fb::Plan& plan) {
  Hasher hasher;
  for (const fb::Axis* axis : rows(plan.mesh())) {
    hasher.add(text(axis->name()));
    hasher.add(axis->size());
  }
  hasher.add(plan.max_tokens());
  hasher.add(plan.max_seqs());
  hasher.add(plan.max_seq_len());
  hasher.add(plan.vocab_size());
  hasher.add(rows(plan.page_groups()).size());
  for (const fb::PageGroup* group : rows(plan.page_groups())) {
    hasher.add(group->tokens_per_page());
    hasher.add(group->pages());
    hasher.add(group->window());
  }
  hasher.add(rows(plan.entries()).size());
  for (const fb::Entry* entry : rows(plan.entries())) {
    hasher.add(text(entry->name()));
    for (int64_t bound : rows(entry->bounds())) hasher.add(bound);
    hasher.add(rows(entry->outputs()).size());
    for (const fb::Output* output : rows(entry->outputs())) {
      hasher.add(text(output->name()));
      hasher.add(output->axis());
      hasher.add(output->columns());
      for (uint64_t begin : rows(output->begins())) hasher.add(begin);
      for (uint64_t end : rows(output->ends())) hasher.add(end);
    }
  }
  return hasher.finish();
}

Error differs(uint32_t rank, uint32_t other, const std::string& what) {
  return userError(rankFile(rank) + ": " + what + " than " + rankFile(other) +
                   "; compile the model again");
}

}  // namespace

Status verifyRanks(std::span<const Plan> plans) {
  if (plans.empty()) return userError("a plan directory must have at least one rank");
  const Plan& first = plans[0];
  std::vector<Hash> programs;
  for (uint32_t rank = 0; rank < plans.size(); ++rank) {
    const Plan& plan = plans[rank];
    if (worldSize(*plan) != plans.size() || plan->rank() != rank) {
      return userError(rankFile(rank) + ": is rank " + std::to_string(plan->rank()) + " of " +
                       std::to_string(*worldSize(*plan)) + "; there are " +
                       std::to_string(plans.size()) + " plans");
    }
    if (hashOf(*plan->compilation_id()) != hashOf(*first->compilation_id())) {
      return differs(rank, 0, "is of another compilation");
    }
    if (interfaceHash(*plan) != interfaceHash(*first)) {
      return differs(rank, 0, "has other bounds, page groups, entries or outputs");
    }
    for (uint32_t axis = 0; axis < rows(plan->mesh()).size(); ++axis) {
      uint32_t leader = groupRanks(*plan, axis).front();
      if (hashOf(*plan->collective_hashes()->Get(axis)) !=
          hashOf(*plans[leader]->collective_hashes()->Get(axis))) {
        return differs(
            rank, leader,
            "issues other collectives over " + printable(text(plan->mesh()->Get(axis)->name())));
      }
    }
    programs.push_back(hashOf(*plan->program_hash()));
  }
  if (compilationId(programs) != hashOf(*first->compilation_id())) {
    return userError(rankFile(0) + ": its compilation id is not that of the ranks' programs");
  }
  return Status::success();
}

}  // namespace dcc::plan
