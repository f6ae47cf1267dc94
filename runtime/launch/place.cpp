#include "runtime/launch/place.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "runtime/base/printable.h"
#include "runtime/collectives/region.h"
#include "runtime/launch/local_socket.h"
#include "runtime/launch/nodelist.h"

namespace dcc::launch {
namespace {

const char* valueOf(const char* name) { return name == nullptr ? nullptr : std::getenv(name); }
bool isSet(const char* name) { return valueOf(name) != nullptr; }

constexpr char kSlurmSize[] = "SLURM_STEP_NUM_TASKS";

constexpr Starter kStarters[] = {
    {.name = "torchrun",
     .rank = kRankVariable,
     .world_size = kWorldSizeVariable,
     .local_rank = kLocalRankVariable,
     .local_size = kLocalWorldSizeVariable,
     .hosts = nullptr,
     .job = {"TORCHELASTIC_RUN_ID"},
     .agent = nullptr,
     .applies = nullptr,
     .meeting = nullptr,
     .size_option = "WORLD_SIZE",
     .master_remedy = "MASTER_ADDR=HOST MASTER_PORT=29500 on every rank"},
    {.name = "Open MPI",
     .rank = "OMPI_COMM_WORLD_RANK",
     .world_size = "OMPI_COMM_WORLD_SIZE",
     .local_rank = "OMPI_COMM_WORLD_LOCAL_RANK",
     .local_size = "OMPI_COMM_WORLD_LOCAL_SIZE",
     .hosts = nullptr,
     .job = {"PMIX_NAMESPACE"},
     .agent = nullptr,
     .applies = nullptr,
     .meeting = nullptr,
     .size_option = "mpirun -np",
     .master_remedy = "mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500"},
    // Of MPICH and Intel MPI.
    {.name = "PMI",
     .rank = "PMI_RANK",
     .world_size = "PMI_SIZE",
     .local_rank = "MPI_LOCALRANKID",
     .local_size = "MPI_LOCALNRANKS",
     .hosts = nullptr,
     .job = {},
     .agent = "PMI_FD",
     // srun --mpi=pmi2 sets the first two, and Slurm's own say more.
     .applies = [] { return isSet("MPI_LOCALRANKID") || !isSet("SLURM_LOCALID"); },
     .meeting = nullptr,
     .size_option = "mpiexec -n",
     .master_remedy = "mpiexec -genv MASTER_ADDR HOST -genv MASTER_PORT 29500"},
    {.name = "PMIx",
     .rank = "PMIX_RANK",
     .world_size = nullptr,
     .local_rank = nullptr,
     .local_size = nullptr,
     .hosts = nullptr,
     .job = {"PMIX_NAMESPACE"},
     .agent = nullptr,
     // "slurm.pmix.JOB.STEP" of srun --mpi=pmix, where Slurm's own say more.
     .applies =
         [] {
           const char* name = valueOf("PMIX_NAMESPACE");
           return name == nullptr || !std::string_view(name).starts_with("slurm.");
         },
     .meeting = nullptr,
     .size_option = nullptr,
     .master_remedy = "mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500"},
    {.name = "Slurm",
     .rank = "SLURM_PROCID",
     .world_size = kSlurmSize,
     .local_rank = "SLURM_LOCALID",
     .local_size = nullptr,
     .hosts = "SLURM_STEP_NUM_NODES",
     .job = {"SLURM_JOB_ID", "SLURM_STEP_ID"},
     .agent = nullptr,
     // A batch script has SLURM_PROCID too, and a shell by srun --pty is a step of one task: both
     // are there to start ranks from.
     .applies =
         [] {
           const char* size = valueOf(kSlurmSize);
           return size != nullptr && std::string_view(size) != "1";
         },
     .meeting = slurmMeeting,
     .size_option = "srun -n",
     .master_remedy = "srun --export=ALL,MASTER_ADDR=HOST,MASTER_PORT=29500"},
};

// A variable that must be there because `starter.rank` is.
Status require(const Starter& starter, const char* name) {
  if (isSet(name)) return Status::success();
  return userError(std::string(name) + ": not set, while " + starter.rank + " is; " + starter.name +
                   " sets both, and without " + starter.rank + " drun starts ranks of its own");
}

// What the starter's own variables say.
Result<Place> readPlace(const Starter& starter) {
  for (const char* name : {starter.world_size, starter.local_rank}) {
    if (name != nullptr) DCC_RETURN_IF_ERROR(require(starter, name));
  }
  Place place;
  place.starter = &starter;
  uint32_t most = Region::kMaxRanks;
  if (starter.world_size != nullptr) {
    DCC_ASSIGN(most, numberVariable(starter.world_size, Region::kMaxRanks));
    if (most == 0) return userError(std::string(starter.world_size) + "=0: 1 at least is right");
    place.world_size = most;
  }
  DCC_ASSIGN(place.rank, numberVariable(starter.rank, most - 1));
  if (starter.local_rank != nullptr) {
    DCC_ASSIGN(place.local_rank, numberVariable(starter.local_rank, most - 1));
  }
  if (isSet(starter.local_size)) {
    DCC_ASSIGN(place.local_size, numberVariable(starter.local_size, most));
    if (place.local_size <= place.local_rank) {
      return userError(std::string(starter.local_size) + "=" + std::to_string(place.local_size) +
                       ": more than " + starter.local_rank + ", which is " +
                       std::to_string(place.local_rank) + ", is right");
    }
  } else if (isSet(starter.hosts)) {
    DCC_ASSIGN(const uint32_t hosts, numberVariable(starter.hosts, UINT32_MAX));
    if (hosts == 1) place.local_size = place.world_size;
  }
  for (const char* name : starter.job) {
    if (isSet(name)) place.job += (place.job.empty() ? "" : ".") + std::string(valueOf(name));
  }
  if (isSet(starter.agent)) {
    DCC_ASSIGN(const uint32_t socket, numberVariable(starter.agent, INT32_MAX));
    if (const std::optional<pid_t> agent = peerProcess(static_cast<int>(socket))) {
      place.job = "process " + std::to_string(*agent);
    }
  }
  return place;
}

// MASTER_ADDR and MASTER_PORT, which torchrun sets and a user may: the port itself is torchrun's.
Status readMaster(Place& place) {
  const char* address = valueOf(kMasterAddressVariable);
  if (address == nullptr || *address == '\0') return Status::success();
  if (!isSet(kMasterPortVariable)) {
    return userError(std::string(kMasterPortVariable) + ": not set, while " +
                     kMasterAddressVariable + " is; rank 0 listens on the port after it");
  }
  DCC_ASSIGN(const uint32_t port, numberVariable(kMasterPortVariable, 65534));
  place.store_host = address;
  place.store_port = static_cast<uint16_t>(port + 1);
  // Alone, TORCHELASTIC_RUN_ID names no job: it is "none" of each that was given no other.
  place.job += "@" + place.store_host + ":" + std::to_string(port);
  return Status::success();
}

}  // namespace

std::span<const Starter> starters() { return kStarters; }

const Starter* findStarter() {
  for (const Starter& starter : kStarters) {
    if (isSet(starter.rank) && (starter.applies == nullptr || starter.applies())) return &starter;
  }
  return nullptr;
}

Result<uint32_t> numberVariable(const char* name, uint32_t largest) {
  const char* text = std::getenv(name);
  uint32_t value = 0;
  if (text != nullptr) {
    const char* end = text + std::strlen(text);
    const auto [rest, error] = std::from_chars(text, end, value);
    if (error == std::errc() && rest == end && rest != text && value <= largest) return value;
  }
  return userError(std::string(name) + (text == nullptr ? " is not set" : "=" + printable(text)) +
                   ": a number from 0 to " + std::to_string(largest) + " is right");
}

Result<std::optional<Meeting>> slurmMeeting() {
  constexpr char kNodelist[] = "SLURM_STEP_NODELIST";
  const char* list = valueOf(kNodelist);
  if (list == nullptr) return std::optional<Meeting>();
  const Result<std::string> host = firstHost(list);
  if (!host.ok()) return userError(kNodelist + ("=" + host.error().message));
  DCC_ASSIGN(const uint64_t job, numberVariable("SLURM_JOB_ID", UINT32_MAX));
  DCC_ASSIGN(const uint64_t step, numberVariable("SLURM_STEP_ID", UINT32_MAX));
  // Of the jobs that share a host few are 600 or more apart, and few run 16 steps at once.
  return std::optional(Meeting{*host, static_cast<uint16_t>(20000 + (16 * job + step) % 10000)});
}

Result<std::optional<Place>> Place::fromEnvironment() {
  const Starter* starter = findStarter();
  if (starter == nullptr) {
    if (!isSet(kWorldSizeVariable)) return std::optional<Place>();
    return userError(std::string(kRankVariable) + ": not set, while " + kWorldSizeVariable +
                     " is; torchrun sets both, and without " + kWorldSizeVariable +
                     " drun starts ranks of its own");
  }
  DCC_ASSIGN(Place place, readPlace(*starter));
  DCC_RETURN_IF_ERROR(readMaster(place));
  const bool enough = place.world_size == 1 || !place.store_host.empty() ||
                      (place.onOneHost() && !place.job.empty());
  if (enough) return std::optional(std::move(place));
  if (starter->meeting != nullptr) {
    DCC_ASSIGN(const std::optional<Meeting> meeting, starter->meeting());
    if (meeting) {
      place.store_host = meeting->host;
      place.store_port = meeting->port;
      return std::optional(std::move(place));
    }
  }
  return userError(std::string(kMasterAddressVariable) + ": not set, and " + starter->name +
                   " does not say where rank 0 is; " + starter->master_remedy +
                   " is right, with the host of rank 0");
}

Result<Place> Place::ofLauncher() {
  Place place;
  DCC_ASSIGN(place.world_size, numberVariable(kWorldSizeVariable, Region::kMaxRanks));
  DCC_ASSIGN(place.local_size, numberVariable(kLocalWorldSizeVariable, place.world_size));
  if (place.local_size == 0) return userError(std::string(kLocalWorldSizeVariable) + "=0");
  DCC_ASSIGN(place.rank, numberVariable(kRankVariable, place.world_size - 1));
  DCC_ASSIGN(place.local_rank, numberVariable(kLocalRankVariable, place.local_size - 1));
  if (place.onOneHost()) {
    // Made for this job alone.
    if (const char* secret = valueOf(kSecretVariable)) place.job = secret;
    return place;
  }
  DCC_ASSIGN(const uint32_t port, numberVariable(kMasterPortVariable, 65535));
  place.store_port = static_cast<uint16_t>(port);
  const char* address = valueOf(kMasterAddressVariable);
  if (address == nullptr) return userError(std::string(kMasterAddressVariable) + ": not set");
  place.store_host = address;
  return place;
}

}  // namespace dcc::launch
