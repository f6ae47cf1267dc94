#include "runtime/launch/rank.h"

#include <fcntl.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "runtime/base/program.h"
#include "runtime/collectives/shared_memory.h"
#include "runtime/collectives/tcp.h"
#include "runtime/launch/machine.h"

namespace dcc::launch {
namespace {

// A descriptor that our launcher left open for us.
Result<UniqueFd> inherited(const char* variable) {
  DCC_ASSIGN(const uint32_t number, numberVariable(variable, INT32_MAX));
  UniqueFd fd(static_cast<int>(number));
  ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  return fd;
}

}  // namespace

Result<std::unique_ptr<Rank>> Rank::launched() {
  if (std::getenv(kMemoryVariable) == nullptr) return std::unique_ptr<Rank>();
  DCC_ASSIGN(Place place, Place::ofLauncher());
  DCC_ASSIGN(UniqueFd memory, inherited(kMemoryVariable));
  DCC_ASSIGN(SharedMapping mapping, SharedMapping::open(memory.release()));
  ::prctl(PR_SET_NAME,
          ("rank " + std::to_string(place.rank)).c_str());  // in ps and top; else "exe"
  DCC_ASSIGN(const Region region, Region::open(mapping.memory()));
  if (region.ranks() != place.local_size) {
    return runtimeError("environment: " + std::to_string(place.local_size) +
                        " local ranks in a group of " + std::to_string(region.ranks()));
  }
  std::unique_ptr<Rank> rank(new Rank(place));
  rank->launcher_ = Launcher{std::move(mapping), region};
  return rank;
}

std::unique_ptr<Rank> Rank::joining(const Place& place) {
  return std::unique_ptr<Rank>(new Rank(place));
}

uint32_t Rank::localRank() const {
  const bool said = place_.starter == nullptr || place_.starter->local_rank != nullptr;
  return said || !meeting_ ? place_.local_rank : meeting_->localRank();
}

Status Rank::meet(const MeetOptions& options) {
  over_tcp_ = options.transport == Transport::kTcp;
  // The launcher of them all brought them together.
  if (launcher_ && place_.onOneHost() && !over_tcp_) return Status::success();
  DCC_ASSIGN(meeting_, Rendezvous::meet(contactOf(place_, options)));
  if (meeting_->sharesMemory()) return Status::success();
  over_tcp_ = true;
  if (options.transport != Transport::kSharedMemory) return Status::success();
  return userError("--collectives shm: not all ranks are on one host; auto and tcp are right");
}

Status Rank::connect(const WaitOptions& options) {
  if (over_tcp_) {
    DCC_ASSIGN(std::vector<UniqueFd> peers, meeting_->connectAll());
    Whereabouts* const here =
        launcher_ ? &launcher_->region.whereabouts(place_.local_rank) : nullptr;
    world_ = tcpCommunicator(std::move(peers), rank(), options, here);
    return Status::success();
  }
  if (meeting_) {
    constexpr size_t kSlot = Region::kDefaultSlotBytes;
    DCC_ASSIGN(const size_t bytes, Region::bytesWithParts(worldSize(), kSlot));
    DCC_ASSIGN(mapping_, meeting_->share(bytes, [&](std::span<std::byte> memory) {
      return Region::format(memory, worldSize(), kSlot);
    }));
    DCC_ASSIGN(region_, Region::open(mapping_->memory()));
    watch_ = std::make_unique<Watch>(meeting_->connections(), *region_);
    // It is there that this rank says where it is.
    if (launcher_) {
      launcher_->region.whereabouts(place_.local_rank).set(&Whereabouts::place, kElsewhere);
    }
  }
  const SharedMapping& memory = mapping_ ? *mapping_ : launcher_->memory;
  DCC_ASSIGN(world_, sharedMemoryCommunicator(memory.memory(), rank(), worldSize(), options));
  return Status::success();
}

int Rank::end(Status status) {
  if (status.ok() && world_) status = world_->leave();
  if (status.ok()) {
    if (region_) region_->markFinished(rank());
    if (launcher_) launcher_->region.markFinished(place_.local_rank);
    return exitStatus(status);
  }
  const GroupError first = firstError(status.error());
  if (first.lost) awaitLauncher(first);
  if (region_) region_->abort(first);
  if (launcher_) launcher_->region.abort(first);
  if (world_) world_->abort(first.error);
  if (!launcher_ && speaksOf(first)) {
    const bool user = first.error.fault == Fault::kUser;
    std::cerr << "error: " + (user ? first.error : first.named()).message + "\n" + first.details;
  }
  return exitStatus(first.error);
}

// What ended the group, by which this rank has failed with `own`, and where ranks were.
GroupError Rank::firstError(const Error& own) const {
  const auto number = static_cast<int32_t>(rank());
  if (!world_) return {number, own};
  const std::vector<Sighting> seen = sightings();
  const std::optional<GroupError> known = world_->firstError();
  if (known && known->rank != number) {
    GroupError first = *known;
    const auto whose = static_cast<uint32_t>(first.rank);
    if (first.lost && whose < seen.size()) {
      first.error.message += ", last seen " + whereText(seen[whose].where, describe_);
    }
    return first;
  }
  // `own` says more than the group was told.
  GroupError first{number, own};
  if (own.fault != Fault::kUser && !onOneHost()) {
    first.error.message = "on " + hostName() + ": " + own.message;
  }
  if (std::ranges::any_of(seen, &Sighting::missed)) first.details = sightingsText(seen, describe_);
  return first;
}

// Where all ranks are: those of our own launcher as of now, others as they last said.
std::vector<Sighting> Rank::sightings() const {
  std::vector<Sighting> seen = world_->sightings();
  for (uint32_t local = 0; launcher_ && over_tcp_ && local < launcher_->region.ranks(); ++local) {
    const uint32_t rank = place_.rank - place_.local_rank + local;
    if (rank < seen.size()) seen[rank].where = launcher_->region.whereabouts(local).read();
  }
  return seen;
}

// Of a rank that is gone without a word its launcher, if it is ours too, knows what it died of.
void Rank::awaitLauncher(const GroupError& lost) const {
  if (!launcher_ || !meeting_ || !meeting_->isLocal(static_cast<uint32_t>(lost.rank))) return;
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  while (!launcher_->region.aborted() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// Without a launcher of ours the one whose error it is says so, and one rank of every other host;
// of a rank that is gone without a word, one rank of every host.
bool Rank::speaksOf(const GroupError& error) const {
  const auto whose = static_cast<uint32_t>(error.rank);
  if (whose == rank()) return true;
  if (!meeting_ || whose >= worldSize() || (meeting_->isLocal(whose) && !error.lost)) return false;
  for (uint32_t r = 0; r < rank(); ++r) {
    if (r != whose && meeting_->isLocal(r)) return false;
  }
  return true;
}

}  // namespace dcc::launch
