// Which rank a process is and where it meets the others, as whoever started it says in environment
// variables.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "runtime/base/status.h"

namespace dcc::launch {

// torchrun's names; our own launcher sets them as well.
inline constexpr char kRankVariable[] = "RANK";
inline constexpr char kWorldSizeVariable[] = "WORLD_SIZE";
inline constexpr char kLocalRankVariable[] = "LOCAL_RANK";
inline constexpr char kLocalWorldSizeVariable[] = "LOCAL_WORLD_SIZE";
inline constexpr char kMasterAddressVariable[] = "MASTER_ADDR";
inline constexpr char kMasterPortVariable[] = "MASTER_PORT";
// The same on all ranks of a job; our launcher makes one up where all of them are its own.
inline constexpr char kSecretVariable[] = "DRUN_SECRET";
// Only our own launcher sets this: the descriptor of the memory that it shares with its ranks.
inline constexpr char kMemoryVariable[] = "DCC_GROUP_FD";

// Where rank 0 of a Slurm step is met if nobody says another place: the first host of
// SLURM_STEP_NODELIST, and a port by the numbers of job and step, from 20000 to 29999, below those
// that Linux gives to clients. Nothing outside of steps. Errors (user): a variable is damaged.
struct Meeting {
  std::string host;
  uint16_t port;
};
Result<std::optional<Meeting>> slurmMeeting();

// What a starter of ranks calls what it tells them. Sources: torch/distributed/run.py's
// "Environment Variables"; Open MPI, "Environment variables set for MPI applications"; the
// environment of ranks under mpirun of Open MPI 4.1 and mpiexec of MPICH 4.0; PMIx, "Environment";
// srun(1), "OUTPUT ENVIRONMENT VARIABLES".
struct Starter {
  const char* name;
  const char* rank;
  const char* world_size;          // null: no variable says it
  const char* local_rank;          // null: as above
  const char* local_size;          // ranks on this host; null: as above
  const char* hosts;               // their number; null: as above
  std::array<const char*, 2> job;  // which together are the same on all ranks and no other job's
  // Where those name none: a descriptor of a unix socket to the process that has started all ranks
  // of the job that are on this host; null: none.
  const char* agent;
  // Whether its ranks are this process; another one's may have inherited `rank`. Null: they are.
  bool (*applies)();
  // Where rank 0 is met if MASTER_ADDR does not say; null: nobody knows.
  Result<std::optional<Meeting>> (*meeting)();
  const char* size_option;    // what decides how many ranks there are, for messages
  const char* master_remedy;  // how its ranks are told where rank 0 is, for messages
};

// In order of precedence: mpirun inside a Slurm step inherits Slurm's, torchrun under srun too.
std::span<const Starter> starters();
// The first that applies to this process; null: none does.
const Starter* findStarter();

struct Place {
  const Starter* starter = nullptr;  // null: our own launcher
  uint32_t rank = 0;
  uint32_t world_size = 0;  // 0: not said; as many as the plan is for
  uint32_t local_rank = 0;  // 0 where the starter has no variable for it
  uint32_t local_size = 0;  // ranks on this host; 0: not said
  // Names the job among those of this user on this host; "": nothing does.
  std::string job;
  // Where rank 0 listens if ranks meet over TCP; "", 0: not said.
  std::string store_host;
  uint16_t store_port = 0;

  // The ranks need not look for each other beyond this host.
  bool onOneHost() const { return local_size != 0 && local_size == world_size; }

  // Of the first of starters() that applies; nothing where none does. Errors (user), which name the
  // variable: no number, out of its range, or missing while others of the same starter are there;
  // no word on where rank 0 is to be met.
  static Result<std::optional<Place>> fromEnvironment();
  // Of a rank that our own launcher has started. Error (user): its variables are damaged.
  static Result<Place> ofLauncher();
};

// The value of a variable that must be a number up to `largest`. Error (user) names it.
Result<uint32_t> numberVariable(const char* name, uint32_t largest);

}  // namespace dcc::launch
