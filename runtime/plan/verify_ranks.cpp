#include "runtime/plan/verify_ranks.h"

#include "runtime/base/printable.h"
#include "runtime/plan/directory.h"
#include "runtime/plan/manifest.h"
#include "runtime/plan/mesh.h"

namespace dcc::plan {
namespace {

// What ranks that see only their own plan compare.
Status verifyHashes(std::span<const RankProgram> ranks) {
  std::vector<Hash> programs;
  const Hash id = hashOf(*ranks[0].plan.compilation_id());
  for (const RankProgram& rank : ranks) {
    if (hashOf(*rank.plan.compilation_id()) != id) {
      return userError(rank.name +
                       ": is of another compilation than rank 0; compile the model "
                       "again");
    }
    for (uint32_t axis = 0; axis < rows(rank.plan.mesh()).size(); ++axis) {
      uint32_t leader = groupRanks(rank.plan, axis).front();
      if (hashOf(*rank.plan.collective_hashes()->Get(axis)) !=
          hashOf(*ranks[leader].plan.collective_hashes()->Get(axis))) {
        return userError(rank.name + ": its collectives over " + rank.axis(axis) +
                         " have another hash than those of rank " + std::to_string(leader) +
                         "; compile the model again");
      }
    }
    programs.push_back(hashOf(*rank.plan.program_hash()));
  }
  if (compilationId(programs) != id) {
    return userError(ranks[0].name + ": its compilation id is not that of the ranks' programs");
  }
  return Status::success();
}

}  // namespace

std::string RankProgram::axis(uint32_t i) const {
  return printable(text(plan.mesh()->Get(i)->name()));
}

Error RankProgram::error(uint32_t i, const std::string& what) const {
  return userError(name + ": entry " + printable(text(entry(i).name())) + ": " + what);
}

std::string RankProgram::describe(uint32_t e, uint32_t instruction) const {
  return plan::describe(sizes, entry(e), *entry(e).instructions()->Get(instruction));
}

Result<std::vector<RankProgram>> rankPrograms(std::span<const fb::Plan* const> plans,
                                              const std::string& dir) {
  std::vector<RankProgram> ranks;
  auto atoms = std::make_shared<SizeAtoms>();
  for (const fb::Plan* plan : plans) {
    std::string name = dir + "/" + rankFile(static_cast<uint32_t>(ranks.size()));
    DCC_ASSIGN(SizeAnalysis sizes, SizeAnalysis::of(*plan, name, atoms));
    ranks.push_back({*plan, std::move(sizes), std::move(name)});
  }
  return ranks;
}

Status verifyRanks(std::span<const Plan> plans, const std::string& dir) {
  if (plans.empty()) return userError(dir + ": a plan directory must have at least one rank");
  std::vector<const fb::Plan*> roots;
  for (const Plan& plan : plans) roots.push_back(&*plan);
  DCC_ASSIGN(std::vector<RankProgram> ranks, rankPrograms(roots, dir));
  DCC_RETURN_IF_ERROR(verifyInterface(ranks));
  DCC_RETURN_IF_ERROR(verifyGroups(ranks));
  DCC_RETURN_IF_ERROR(verifyOrder(ranks));
  return verifyHashes(ranks);
}

}  // namespace dcc::plan
