// The parts of verifyRanks(), one file each. Every plan is verified by itself, so all indices are
// in range; what comes later relies on what those before it have established.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/plan/access.h"
#include "runtime/plan/describe.h"
#include "runtime/plan/size_analysis.h"

namespace dcc::plan {

struct RankProgram {
  const fb::Plan& plan;
  SizeAnalysis sizes;  // all ranks' share their atoms
  std::string name;    // "<dir>/rank_2.dplan"

  const fb::Entry& entry(uint32_t i) const { return *plan.entries()->Get(i); }
  uint32_t entryCount() const { return rows(plan.entries()).size(); }
  std::string axis(uint32_t i) const;
  // "<name>: entry prefill: <what>".
  Error error(uint32_t entry, const std::string& what) const;
  std::string describe(uint32_t entry, uint32_t instruction) const;
};

// In rank order; `dir` begins the names.
Result<std::vector<RankProgram>> rankPrograms(std::span<const fb::Plan* const> plans,
                                              const std::string& dir);

// verify_interface.cpp: one mesh of as many ranks as there are; and what rank 0 reads from its own
// plan to make the steps of all: limits, page groups, entries, outputs.
Status verifyInterface(std::span<const RankProgram> ranks);
// verify_groups.cpp: the ranks of every group of every mesh axis issue the same collectives in the
// same order, with equal kinds, types, sizes and counts; every send meets a recv of its size.
Status verifyGroups(std::span<const RankProgram> ranks);
// verify_order.cpp: in every entry all ranks get to its end, when each collective waits for its
// whole group, and a send for its recv.
Status verifyOrder(std::span<const RankProgram> ranks);

}  // namespace dcc::plan
