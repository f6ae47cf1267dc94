#include "runtime/launch/rank.h"

#include <fcntl.h>
#include <sys/prctl.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>

#include "runtime/collectives/shared_memory.h"

namespace dcc::launch {
namespace {

Result<uint32_t> variable(const char* name) {
  const char* text = std::getenv(name);
  uint32_t value = 0;
  if (text != nullptr) {
    const char* end = text + std::strlen(text);
    const auto [rest, error] = std::from_chars(text, end, value);
    if (error == std::errc() && rest == end && rest != text && value <= INT32_MAX) return value;
  }
  return runtimeError(std::string("environment: ") + name + " is " +
                      (text == nullptr ? "not set" : text) + "; drun sets it to a number");
}

}  // namespace

Result<std::optional<Rank>> Rank::fromEnvironment() {
  if (std::getenv(kMemoryVariable) == nullptr) return std::optional<Rank>();
  DCC_ASSIGN(const uint32_t fd, variable(kMemoryVariable));
  DCC_ASSIGN(const uint32_t rank, variable(kRankVariable));
  DCC_ASSIGN(const uint32_t local_rank, variable(kLocalRankVariable));
  DCC_ASSIGN(const uint32_t size, variable(kWorldSizeVariable));
  DCC_ASSIGN(SharedMapping mapping, SharedMapping::open(static_cast<int>(fd)));
  ::fcntl(mapping.fd(), F_SETFD, FD_CLOEXEC);
  ::prctl(PR_SET_NAME, ("rank " + std::to_string(rank)).c_str());  // in ps and top; else "exe"
  DCC_ASSIGN(const Region region, Region::open(mapping.memory()));
  if (region.ranks() != size || rank >= size) {
    return runtimeError("environment: rank " + std::to_string(rank) + " of " +
                        std::to_string(size) + " in a group of " + std::to_string(region.ranks()));
  }
  return std::optional<Rank>(Rank(rank, local_rank, std::move(mapping), region));
}

Result<std::unique_ptr<Communicator>> Rank::world(const WaitOptions& options) const {
  return sharedMemoryCommunicator(mapping_.memory(), rank_, worldSize(), options);
}

int Rank::end(const Status& status) const {
  if (status.ok()) {
    region_.markFinished(rank_);
    return 0;
  }
  region_.abort(static_cast<int32_t>(rank_), status.error());
  return static_cast<int>(status.error().fault);
}

}  // namespace dcc::launch
