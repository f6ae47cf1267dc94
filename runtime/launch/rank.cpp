#include "runtime/launch/rank.h"

#include <fcntl.h>
#include <sys/prctl.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "runtime/collectives/shared_memory.h"
#include "runtime/collectives/tcp.h"

namespace dcc::launch {
namespace {

// A descriptor that our launcher left open for us.
Result<UniqueFd> inherited(const char* variable) {
  DCC_ASSIGN(const uint32_t number, numberVariable(variable, INT32_MAX));
  UniqueFd fd(static_cast<int>(number));
  ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  return fd;
}

std::string secret() {
  const char* text = std::getenv(kSecretVariable);
  return text == nullptr ? "" : text;
}

}  // namespace

Result<std::unique_ptr<Rank>> Rank::launched() {
  if (std::getenv(kMemoryVariable) == nullptr) return std::unique_ptr<Rank>();
  Place place;
  DCC_ASSIGN(place.world_size, numberVariable(kWorldSizeVariable, Region::kMaxRanks));
  DCC_ASSIGN(place.rank, numberVariable(kRankVariable, Region::kMaxRanks));
  DCC_ASSIGN(place.local_rank, numberVariable(kLocalRankVariable, Region::kMaxRanks));
  DCC_ASSIGN(UniqueFd memory, inherited(kMemoryVariable));
  DCC_ASSIGN(SharedMapping mapping, SharedMapping::open(memory.release()));
  ::prctl(PR_SET_NAME,
          ("rank " + std::to_string(place.rank)).c_str());  // in ps and top; else "exe"
  DCC_ASSIGN(const Region region, Region::open(mapping.memory()));
  if (region.ranks() != place.world_size || place.rank >= place.world_size) {
    return runtimeError("environment: rank " + std::to_string(place.rank) + " of " +
                        std::to_string(place.world_size) + " in a group of " +
                        std::to_string(region.ranks()));
  }
  std::unique_ptr<Rank> rank(new Rank(place));
  rank->launched_ = true;
  rank->mapping_ = std::move(mapping);
  rank->region_ = region;
  if (std::getenv(kStoreVariable) != nullptr) {
    DCC_ASSIGN(rank->store_, inherited(kStoreVariable));
  }
  return rank;
}

std::unique_ptr<Rank> Rank::joining(const Place& place) {
  return std::unique_ptr<Rank>(new Rank(place));
}

// Where rank 0 is to be met.
Result<Contact> Rank::contact(const MeetOptions& options) const {
  Contact contact;
  contact.rank = place_.rank;
  contact.size = place_.world_size;
  contact.secret = secret();
  contact.deadline = options.deadline;
  contact.use_tcp = options.transport == Transport::kTcp;
  if (launched_) {
    contact.host = "127.0.0.1";
    DCC_ASSIGN(const uint32_t port, numberVariable(kStorePortVariable, 65535));
    contact.port = static_cast<uint16_t>(port);
  } else {
    contact.host = place_.master_address;
    contact.port = options.store_port != 0 ? options.store_port
                                           : static_cast<uint16_t>(place_.master_port + 1);
  }
  return contact;
}

Status Rank::meet(const MeetOptions& options) {
  over_tcp_ = options.transport == Transport::kTcp;
  if (launched_ && !over_tcp_) return Status::success();  // the launcher brought us together
  DCC_ASSIGN(const Contact to, contact(options));
  DCC_ASSIGN(meeting_, Rendezvous::meet(to, std::move(store_)));
  if (meeting_->sharesMemory()) return Status::success();
  over_tcp_ = true;
  if (options.transport != Transport::kSharedMemory) return Status::success();
  return userError("--collectives shm: not all ranks are on one host; auto and tcp are right");
}

Status Rank::connect(const WaitOptions& options) {
  if (over_tcp_) {
    DCC_ASSIGN(std::vector<UniqueFd> peers, meeting_->connectAll());
    world_ = tcpCommunicator(std::move(peers), rank(), options);
    return Status::success();
  }
  if (!launched_) {
    constexpr size_t kSlot = Region::kDefaultSlotBytes;
    DCC_ASSIGN(const size_t bytes, Region::bytesWithParts(worldSize(), kSlot));
    DCC_ASSIGN(mapping_, meeting_->share(bytes, [&](std::span<std::byte> memory) {
      return Region::format(memory, worldSize(), kSlot);
    }));
    DCC_ASSIGN(region_, Region::open(mapping_->memory()));
    watch_ = std::make_unique<Watch>(meeting_->connections(), *region_);
  }
  DCC_ASSIGN(world_, sharedMemoryCommunicator(mapping_->memory(), rank(), worldSize(), options));
  return Status::success();
}

int Rank::end(const Status& status) {
  if (status.ok()) {
    if (region_) region_->markFinished(rank());
    return 0;
  }
  const std::optional<GroupError> known = world_ ? world_->firstError() : std::nullopt;
  const GroupError first = known.value_or(GroupError{static_cast<int32_t>(rank()), status.error()});
  if (region_) region_->abort(first);
  if (world_) world_->abort(first.error);
  if (!launched_ && speaksOf(first)) {
    const bool user = first.error.fault == Fault::kUser;
    std::cerr << "error: " + (user ? first.error : first.named()).message + "\n";
  }
  return static_cast<int>(first.error.fault);
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
