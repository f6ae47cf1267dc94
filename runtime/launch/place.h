// Which rank a process is, as whoever started it says in environment variables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/base/status.h"

namespace dcc::launch {

// torchrun's names; our own launcher sets the first three as well.
inline constexpr char kRankVariable[] = "RANK";
inline constexpr char kWorldSizeVariable[] = "WORLD_SIZE";
inline constexpr char kLocalRankVariable[] = "LOCAL_RANK";
inline constexpr char kMasterAddressVariable[] = "MASTER_ADDR";
inline constexpr char kMasterPortVariable[] = "MASTER_PORT";
// The same on all ranks of a job; our launcher makes one up.
inline constexpr char kSecretVariable[] = "DRUN_SECRET";
// Only our own launcher sets these: descriptors of the group's memory and of rank 0's listening
// socket, and that one's port.
inline constexpr char kMemoryVariable[] = "DCC_GROUP_FD";
inline constexpr char kStoreVariable[] = "DCC_STORE_FD";
inline constexpr char kStorePortVariable[] = "DCC_STORE_PORT";

struct Place {
  uint32_t rank = 0, world_size = 1, local_rank = 0;
  std::string master_address;  // "" from our own launcher
  uint16_t master_port = 0;

  // Nothing when RANK and WORLD_SIZE are not both set. Errors (user): a variable that is no number
  // or out of its range, or one of the five that is missing.
  static Result<std::optional<Place>> fromEnvironment();
};

// The value of a variable that must be a number up to `largest`. Error (user) names it.
Result<uint32_t> numberVariable(const char* name, uint32_t largest);

}  // namespace dcc::launch
