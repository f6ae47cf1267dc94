// A rank's side of the launch: who am I, where is the group's memory, and how I end.
#pragma once

#include <memory>
#include <optional>

#include "runtime/collectives/barrier.h"
#include "runtime/collectives/communicator.h"
#include "runtime/collectives/region.h"
#include "runtime/launch/shared_mapping.h"

namespace dcc::launch {

// How launch() tells a child process what it is.
inline constexpr char kRankVariable[] = "RANK";
inline constexpr char kWorldSizeVariable[] = "WORLD_SIZE";
inline constexpr char kLocalRankVariable[] = "LOCAL_RANK";
inline constexpr char kMemoryVariable[] = "DCC_GROUP_FD";  // only our own launcher sets it

class Rank {
 public:
  // Nothing when no launch() started this process. Error (runtime): its variables are damaged.
  static Result<std::optional<Rank>> fromEnvironment();

  uint32_t rank() const { return rank_; }
  uint32_t worldSize() const { return region_.ranks(); }
  uint32_t localRank() const { return local_rank_; }

  // The group of all ranks; once per process.
  Result<std::unique_ptr<Communicator>> world(const WaitOptions& options) const;

  // The last thing a rank does: tells the launcher how it went and returns the exit status.
  int end(const Status& status) const;

 private:
  Rank(uint32_t rank, uint32_t local_rank, SharedMapping mapping, const Region& region)
      : rank_(rank), local_rank_(local_rank), mapping_(std::move(mapping)), region_(region) {}

  uint32_t rank_, local_rank_;
  SharedMapping mapping_;
  Region region_;
};

}  // namespace dcc::launch
