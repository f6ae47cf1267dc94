// All ranks run an entry at once: a collective ends when its whole group has come to it, a send
// when its recv has been reached. That they match is known by now; with several axes, or with
// sends, ranks may still wait for each other in a circle.
#include <map>

#include "runtime/plan/mesh.h"
#include "runtime/plan/verify_ranks.h"

namespace dcc::plan {
namespace {

class Rehearsal {
 public:
  Rehearsal(std::span<const RankProgram> ranks, uint32_t entry)
      : ranks_(ranks),
        entry_(entry),
        at_(ranks.size(), 0),
        standing_(ranks.size(), false),
        groups_(ranks.size()) {
    for (uint32_t r = 0; r < ranks.size(); ++r) {
      for (uint32_t axis = 0; axis < rows(ranks[r].plan.mesh()).size(); ++axis) {
        groups_[r].push_back(groupRanks(ranks[r].plan, axis));
      }
    }
  }

  Status run() {
    for (uint32_t r = 0; r < ranks_.size(); ++r) moving_.push_back(r);
    while (!moving_.empty()) {
      uint32_t rank = moving_.back();
      moving_.pop_back();
      arrive(rank);
    }
    for (uint32_t r = 0; r < ranks_.size(); ++r) {
      if (waitsAt(r)) return circle(r);
    }
    return Status::success();
  }

 private:
  // The collective that a rank stands at; null while it moves and at the end of its entry.
  const fb::Collective* waitsAt(uint32_t rank) const {
    if (!standing_[rank]) return nullptr;
    return ranks_[rank].entry(entry_).instructions()->Get(at_[rank])->body_as_Collective();
  }

  void arrive(uint32_t rank) {
    Rows instructions = rows(ranks_[rank].entry(entry_).instructions());
    while (at_[rank] < instructions.size() && !instructions[at_[rank]]->body_as_Collective()) {
      ++at_[rank];
    }
    if (at_[rank] == instructions.size()) return;
    standing_[rank] = true;
    const fb::Collective* collective = waitsAt(rank);
    const std::vector<uint32_t>& group = groups_[rank][collective->axis()];
    if (isPointToPoint(*collective)) {
      uint32_t peer = group[collective->peer()];
      if (meets(rank, peer)) {
        proceed(rank);
        proceed(peer);
      }
      return;
    }
    uint32_t& arrived = arrived_[{collective->axis(), group.front()}];
    if (++arrived < group.size()) return;
    arrived = 0;
    for (uint32_t member : group) proceed(member);
  }

  void proceed(uint32_t rank) {
    ++at_[rank];
    standing_[rank] = false;
    moving_.push_back(rank);
  }

  // Whether both stand at the two ends of one transfer.
  bool meets(uint32_t rank, uint32_t peer) const {
    const fb::Collective &own = *waitsAt(rank), *theirs = waitsAt(peer);
    return theirs && isPointToPoint(*theirs) && theirs->kind() != own.kind() &&
           theirs->axis() == own.axis() && groups_[peer][theirs->axis()][theirs->peer()] == rank;
  }

  // A rank that a waiting one waits for.
  uint32_t awaited(uint32_t rank) const {
    const fb::Collective& collective = *waitsAt(rank);
    const std::vector<uint32_t>& group = groups_[rank][collective.axis()];
    if (isPointToPoint(collective)) return group[collective.peer()];
    for (uint32_t member : group) {
      const fb::Collective* other = waitsAt(member);
      if (!other || isPointToPoint(*other) || other->axis() != collective.axis()) return member;
    }
    return rank;
  }

  Status circle(uint32_t rank) const {
    std::vector<bool> seen(ranks_.size());
    while (!seen[rank] && waitsAt(rank)) {
      seen[rank] = true;
      rank = awaited(rank);
    }
    std::string text = "ranks wait for each other: ";
    uint32_t first = rank;
    while (waitsAt(rank)) {
      uint32_t next = awaited(rank);
      text += "rank " + std::to_string(rank) + " at instruction " + std::to_string(at_[rank]) +
              " (" + ranks_[rank].describe(entry_, at_[rank]) + ") for rank " +
              std::to_string(next);
      rank = next;
      if (rank == first) break;
      text += ", ";
    }
    return ranks_[first].error(entry_, text);
  }

  std::span<const RankProgram> ranks_;
  uint32_t entry_;
  std::vector<uint32_t> at_;                                   // per rank: instruction
  std::vector<bool> standing_;                                 // per rank: at a collective, waiting
  std::vector<std::vector<std::vector<uint32_t>>> groups_;     // rank, axis -> ranks
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> arrived_;  // axis, first of the group
  std::vector<uint32_t> moving_;
};

}  // namespace

Status verifyOrder(std::span<const RankProgram> ranks) {
  for (uint32_t entry = 0; entry < ranks[0].entryCount(); ++entry) {
    DCC_RETURN_IF_ERROR(Rehearsal(ranks, entry).run());
  }
  return Status::success();
}

}  // namespace dcc::plan
