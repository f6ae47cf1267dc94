// Every rank of a group is walked beside the group's first. Not their hashes are compared: whoever
// changes a plan can also make new ones.
#include <algorithm>
#include <map>
#include <optional>

#include "runtime/plan/dataflow.h"
#include "runtime/plan/mesh.h"
#include "runtime/plan/size_proof.h"
#include "runtime/plan/verify_ranks.h"

namespace dcc::plan {
namespace {

// One entry on all ranks.
class EntryGroups {
 public:
  EntryGroups(std::span<const RankProgram> ranks, uint32_t entry)
      : ranks_(ranks), entry_(entry), proof_(boundsOf(ranks[0].entry(entry))) {}

  Status run(uint32_t axis) {
    axis_ = axis;
    for (uint32_t r = 0; r < ranks_.size(); ++r) {
      std::vector<uint32_t> group = groupRanks(ranks_[r].plan, axis);
      if (group.front() == r) {
        DCC_RETURN_IF_ERROR(pairUp(group));
      } else {
        DCC_RETURN_IF_ERROR(compare(r, group.front()));
      }
    }
    return Status::success();
  }

 private:
  static std::vector<int64_t> boundsOf(const fb::Entry& entry) {
    return {rows(entry.bounds()).begin(), rows(entry.bounds()).end()};
  }

  const fb::Instruction& instruction(uint32_t rank, uint32_t i) const {
    return *ranks_[rank].entry(entry_).instructions()->Get(i);
  }
  const fb::Collective& collective(uint32_t rank, uint32_t i) const {
    return *instruction(rank, i).body_as_Collective();
  }

  // The instructions of a rank that are collectives of the whole group along the axis.
  std::vector<uint32_t> collectives(uint32_t rank) const {
    std::vector<uint32_t> out;
    for (uint32_t i = 0; i < rows(ranks_[rank].entry(entry_).instructions()).size(); ++i) {
      const fb::Collective* c = instruction(rank, i).body_as_Collective();
      if (c && c->axis() == axis_ && !isPointToPoint(*c)) out.push_back(i);
    }
    return out;
  }

  // Per collective of those: which of them brought its gates, by number; nothing for those without.
  std::vector<std::optional<size_t>> gatesOf(uint32_t rank) const {
    std::vector<std::optional<size_t>> out;
    std::map<uint32_t, size_t> writers;  // of buffers that a collective wrote last
    for (const fb::Instruction* i : rows(ranks_[rank].entry(entry_).instructions())) {
      const fb::Collective* c = i->body_as_Collective();
      const bool ours = c && c->axis() == axis_ && !isPointToPoint(*c);
      if (ours) {
        const auto from = writers.find(static_cast<uint32_t>(c->gates()));
        out.push_back(from == writers.end() ? std::nullopt : std::optional(from->second));
      }
      for (const Write& write : accessesOf(*i).writes) {
        const uint32_t root = rootOf(ranks_[rank].entry(entry_), write.buffer);
        writers.erase(root);
        if (ours) writers[root] = out.size() - 1;
      }
    }
    return out;
  }

  // ---- collectives of the whole group -----------------------------------------------------------

  Status compare(uint32_t rank, uint32_t first) {
    const std::vector<uint32_t> own = collectives(rank), theirs = collectives(first);
    const auto gates = gatesOf(rank), gates_of_theirs = gatesOf(first);
    for (size_t k = 0; k < std::max(own.size(), theirs.size()); ++k) {
      std::string what = "collective " + std::to_string(k) + " over " + ranks_[rank].axis(axis_);
      std::string other = "rank " + std::to_string(first) + " has ";
      if (k == own.size()) {
        return error(rank, "has no " + what + ", where " + other +
                               ranks_[first].describe(entry_, theirs[k]));
      }
      std::string mine = ranks_[rank].describe(entry_, own[k]);
      what += " (" + mine + ") stands where " + other;
      if (k == theirs.size()) return error(rank, what + "none");
      std::string differs = difference(rank, own[k], first, theirs[k]);
      if (differs.empty() && gates[k] != gates_of_theirs[k]) differs = "origin of its gates";
      if (differs.empty()) continue;
      std::string their = ranks_[first].describe(entry_, theirs[k]);
      return error(rank, what + (their == mine ? "one with another " + differs : their));
    }
    return Status::success();
  }

  Error error(uint32_t rank, const std::string& what) const {
    return ranks_[rank].error(entry_, what + "; all ranks of a group must issue the same ones");
  }

  // What two collectives differ in, empty when they are the same one.
  std::string difference(uint32_t r, uint32_t i, uint32_t s, uint32_t j) {
    const fb::Collective &own = collective(r, i), &theirs = collective(s, j);
    if (own.kind() != theirs.kind()) return "kind";
    if (text(instruction(r, i).module_()) != text(instruction(s, j).module_())) return "module";
    if (own.reduction() != theirs.reduction()) return "reduction";
    if (own.dimension() != theirs.dimension()) return "dimension";
    if (std::string differs = shapeDifference(r, own, s, theirs); !differs.empty()) return differs;
    Rows counts = rows(own.counts()), others = rows(theirs.counts());
    bool equal = counts.size() == others.size();
    for (uint32_t k = 0; equal && k < counts.size(); ++k) {
      equal = proof_.equal({&ranks_[r].sizes, counts[k]}, {&ranks_[s].sizes, others[k]});
    }
    if (!equal) return "division into counts";
    Rows experts = rows(own.experts()), of_theirs = rows(theirs.experts());
    if ((own.gates() >= 0) != (theirs.gates() >= 0) ||
        !std::equal(experts.begin(), experts.end(), of_theirs.begin(), of_theirs.end())) {
      return "division of experts";
    }
    return "";
  }

  // Of the whole, or of what is sent. A rank's own part is counts[its coordinate], as verify() has
  // found.
  std::string shapeDifference(uint32_t r, const fb::Collective& a, uint32_t s,
                              const fb::Collective& b) {
    const fb::Buffer* own = sharedBuffer(ranks_[r].entry(entry_), a);
    const fb::Buffer* theirs = sharedBuffer(ranks_[s].entry(entry_), b);
    if (!own || !theirs) return "buffer";
    if (own->dtype() != theirs->dtype()) return "type";
    bool equal = own->cols() == theirs->cols() &&
                 proof_.equal({&ranks_[r].sizes, own->rows()}, {&ranks_[s].sizes, theirs->rows()});
    return equal ? "" : "shape";
  }

  // ---- sends and recvs --------------------------------------------------------------------------

  // The instructions of a rank that are of this kind and to or from this coordinate.
  std::vector<uint32_t> transfers(uint32_t rank, fb::CollectiveKind kind, uint32_t peer) const {
    std::vector<uint32_t> out;
    for (uint32_t i = 0; i < rows(ranks_[rank].entry(entry_).instructions()).size(); ++i) {
      const fb::Collective* c = instruction(rank, i).body_as_Collective();
      if (c && c->axis() == axis_ && c->kind() == kind && c->peer() == peer) out.push_back(i);
    }
    return out;
  }

  Status pairUp(const std::vector<uint32_t>& group) {
    bool any = false;
    for (uint32_t c = 0; c < group.size(); ++c) {
      for (uint32_t i = 0; i < rows(ranks_[group[c]].entry(entry_).instructions()).size(); ++i) {
        const fb::Collective* found = instruction(group[c], i).body_as_Collective();
        if (!found || found->axis() != axis_ || !isPointToPoint(*found)) continue;
        any = true;
        if (found->peer() < group.size() && found->peer() != c) continue;
        return ranks_[group[c]].error(
            entry_, ranks_[group[c]].describe(entry_, i) + " is with coordinate " +
                        std::to_string(found->peer()) + " of " + ranks_[group[c]].axis(axis_) +
                        "; it must be another one of " + std::to_string(group.size()));
      }
    }
    for (uint32_t from = 0; any && from < group.size(); ++from) {
      for (uint32_t to = 0; to < group.size(); ++to) DCC_RETURN_IF_ERROR(pair(group, from, to));
    }
    return Status::success();
  }

  Status pair(const std::vector<uint32_t>& group, uint32_t from, uint32_t to) {
    const uint32_t sender = group[from], receiver = group[to];
    const std::vector<uint32_t> sends = transfers(sender, fb::CollectiveKind::send, to);
    const std::vector<uint32_t> recvs = transfers(receiver, fb::CollectiveKind::recv, from);
    const std::string both = "transfer ";
    for (size_t k = 0; k < std::max(sends.size(), recvs.size()); ++k) {
      std::string what = both + std::to_string(k) + " over " + ranks_[sender].axis(axis_) + " (";
      if (k == recvs.size()) {
        return ranks_[sender].error(entry_, what + ranks_[sender].describe(entry_, sends[k]) +
                                                ") has no recv on rank " +
                                                std::to_string(receiver));
      }
      what += ranks_[receiver].describe(entry_, recvs[k]) + ") has ";
      const std::string on = " on rank " + std::to_string(sender);
      if (k == sends.size()) return ranks_[receiver].error(entry_, what + "no send" + on);
      if (shapeDifference(receiver, collective(receiver, recvs[k]), sender,
                          collective(sender, sends[k]))
              .empty()) {
        continue;
      }
      return ranks_[receiver].error(entry_, what + ranks_[sender].describe(entry_, sends[k]) + on +
                                                "; both must have one type and size");
    }
    return Status::success();
  }

  std::span<const RankProgram> ranks_;
  uint32_t entry_, axis_ = 0;
  SizeProof proof_;
};

}  // namespace

Status verifyGroups(std::span<const RankProgram> ranks) {
  for (uint32_t entry = 0; entry < ranks[0].entryCount(); ++entry) {
    EntryGroups groups(ranks, entry);
    for (uint32_t axis = 0; axis < rows(ranks[0].plan.mesh()).size(); ++axis) {
      DCC_RETURN_IF_ERROR(groups.run(axis));
    }
  }
  return Status::success();
}

}  // namespace dcc::plan
