// A libnccl.so.2 for tests without GPUs: takes NCCL's calls, writes them down, and really moves the
// data between ranks, threads or processes of one host, in host memory. What the environment makes
// it do:
//   FAKE_NCCL_LOG=FILE       appends a line for each call: "<rank> <call> <arguments>"
//   FAKE_NCCL_VERSION=N      another version than 2.32.0
//   FAKE_NCCL_FAIL=CALL      that call fails ("init", "init1": rank 1's, "id", "ncclAllReduce",
//   ...) FAKE_NCCL_ASYNC=CALL     the communicator finds an error some time after that call
//   FAKE_NCCL_DEADLINE_MS=N  how long a rank that is missing is waited for
// Communicators are non-blocking only: each call is in progress for some looks.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/collectives/nccl/nccl.h"
#include "runtime/collectives/shared_memory.h"

using namespace dcc;
using namespace dcc::nccl;

namespace {

constexpr size_t kSlotBytes = size_t{64} << 10;
constexpr int kLooks = 3;  // of a call in progress

std::string_view setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void record(int rank, const std::string& line) {
  const std::string_view path = setting("FAKE_NCCL_LOG");
  if (path.empty()) return;
  const int file = ::open(path.data(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const std::string text = std::to_string(rank) + " " + line + "\n";
  if (::write(file, text.data(), text.size()) < 0) std::perror("FAKE_NCCL_LOG");
  ::close(file);
}

std::string pathOf(const UniqueId& id) { return "/dev/shm/" + std::string(id.internal); }

}  // namespace

struct dcc::nccl::ncclComm {
  UniqueId id;
  int rank = 0, ranks = 0;
  std::span<std::byte> memory;  // a region, and behind it how many ranks have come
  std::unique_ptr<Communicator> group;
  int looks = 0;  // until what was called is no longer in progress
  std::atomic<Code> error{kSuccess};
  std::string last;
  std::list<std::function<void()>> work;  // graphs replay it

  std::atomic_ref<uint64_t> arrived() const {
    return std::atomic_ref<uint64_t>(
        *reinterpret_cast<uint64_t*>(memory.data() + memory.size() - Region::kAlignment));
  }
  bool join();
  bool map(int file, size_t bytes);
  Code call(const std::string& name, const std::string& arguments, cudaStream_t stream,
            std::function<Status()> body);
};

namespace {

size_t bytesFor(int ranks) {
  return Region::bytesFor(static_cast<uint32_t>(ranks), kSlotBytes).value() + Region::kAlignment;
}

}  // namespace

bool ncclComm::map(int file, size_t bytes) {
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (at == MAP_FAILED) return false;
  memory = {static_cast<std::byte*>(at), bytes};
  return true;
}

// Whether all ranks have come; rank 0 brings the memory.
bool ncclComm::join() {
  const std::string path = pathOf(id), made = path + ".made";
  const size_t bytes = bytesFor(ranks);
  if (memory.empty()) {
    if (rank == 0) {
      const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      if (::ftruncate(file, static_cast<off_t>(bytes)) != 0 || !map(file, bytes)) return false;
      if (!Region::format(memory.first(bytes - Region::kAlignment), ranks, kSlotBytes).ok()) {
        return false;
      }
      ::rename(path.c_str(), made.c_str());
    } else {
      const int file = ::open(made.c_str(), O_RDWR | O_CLOEXEC);
      if (file < 0 || !map(file, bytes)) return false;
    }
    arrived().fetch_add(1);
  }
  if (arrived().load() < static_cast<uint64_t>(ranks)) return false;
  if (rank == 0) ::unlink(made.c_str());
  const std::string_view deadline = setting("FAKE_NCCL_DEADLINE_MS");
  WaitOptions options{std::chrono::seconds(30), true};
  if (!deadline.empty())
    options.deadline = std::chrono::milliseconds(std::strtol(deadline.data(), nullptr, 10));
  group = std::move(sharedMemoryCommunicator(memory.first(bytes - Region::kAlignment), rank, ranks,
                                             options))
              .value();
  return true;
}

Code ncclComm::call(const std::string& name, const std::string& arguments, cudaStream_t stream,
                    std::function<Status()> body) {
  record(rank, name + " " + arguments);
  if (looks > 0 || group == nullptr) {
    last = name + " while another call is in progress";
    return kInvalidUsage;
  }
  if (setting("FAKE_NCCL_FAIL") == name) {
    last = "told to fail\nand to say more";
    return kInternalError;
  }
  work.push_back([this, name, body = std::move(body)] {
    const Status status = body();
    if (setting("FAKE_NCCL_ASYNC") == name) {
      last = "told to fail later";
      error = kRemoteError;
    } else if (!status.ok()) {
      last = status.error().message;
      error = kRemoteError;
    }
  });
  const auto run = [](void* data) { (*static_cast<std::function<void()>*>(data))(); };
  if (void* launch = ::dlsym(RTLD_DEFAULT, "cudaLaunchHostFunc")) {
    reinterpret_cast<decltype(&cudaLaunchHostFunc)>(launch)(stream, run, &work.back());
  } else {
    run(&work.back());
  }
  looks = kLooks;
  return kInProgress;
}

namespace {

// Calls within a group are one.
thread_local int group_depth = 0;
thread_local Comm group_comm = nullptr;

Code grouped(Comm comm, Code code) {
  if (group_depth == 0 || code != kInProgress) return code;
  group_comm = comm;
  comm->looks = 0;
  return kSuccess;
}

Status check(DataType type, DataType expected) {
  return type == expected ? Status::success() : userError("an unexpected data type");
}

std::string text(size_t count, DataType type) {
  return std::to_string(count) + (type == kFloat32 ? " f32" : " u8");
}

}  // namespace

extern "C" {

Code ncclGetVersion(int* version) {
  const std::string_view told = setting("FAKE_NCCL_VERSION");
  *version = told.empty() ? 23200 : static_cast<int>(std::strtol(told.data(), nullptr, 10));
  return kSuccess;
}
const char* ncclGetErrorString(Code code) {
  constexpr std::array kNames = {"no error",
                                 "unhandled cuda error",
                                 "unhandled system error",
                                 "internal error",
                                 "invalid argument",
                                 "invalid usage",
                                 "remote process exited or there was a network error",
                                 "NCCL operation in progress"};
  return kNames.at(code);
}
const char* ncclGetLastError(Comm comm) { return comm == nullptr ? "" : comm->last.c_str(); }

Code ncclGetUniqueId(UniqueId* id) {
  if (setting("FAKE_NCCL_FAIL") == "id") return kSystemError;
  static std::atomic<int> count;
  *id = {};
  std::snprintf(id->internal, sizeof(id->internal), "dcc-fake-nccl-%d-%d", ::getpid(), count++);
  return kSuccess;
}

#ifndef FAKE_NCCL_INCOMPLETE
Code ncclCommInitRankConfig(Comm* comm, int ranks, UniqueId id, int rank, Config* config) {
  record(rank, "init of " + std::to_string(ranks));
  if (config->size != sizeof(Config) || config->magic != 0xcafebeef || config->blocking != 0 ||
      rank < 0 || rank >= ranks) {
    return kInvalidArgument;
  }
  const std::string_view fails = setting("FAKE_NCCL_FAIL");
  if (fails == "init" || fails == "init" + std::to_string(rank)) return kSystemError;
  *comm = new ncclComm;
  (*comm)->id = id;
  (*comm)->rank = rank;
  (*comm)->ranks = ranks;
  return kInProgress;
}
#endif

Code ncclCommGetAsyncError(Comm comm, Code* error) {
  if (comm->group == nullptr) {
    *error = comm->join() ? kSuccess : kInProgress;
  } else if (comm->looks > 0) {
    --comm->looks;
    *error = kInProgress;
  } else {
    *error = comm->error;
  }
  return kSuccess;
}
Code ncclCommFinalize(Comm comm) {
  record(comm->rank, "finalize");
  return kInProgress;
}
Code ncclCommDestroy(Comm comm) {
  record(comm->rank, "destroy");
  comm->group.reset();
  ::munmap(comm->memory.data(), comm->memory.size());
  delete comm;
  return kSuccess;
}
Code ncclCommAbort(Comm comm) {
  record(comm->rank, "abort");
  // Others hear of it, and work on the way ends; until then it needs the communicator.
  static std::mutex mutex;
  static auto* const aborted = new std::list<Comm>;
  const std::lock_guard lock(mutex);
  aborted->push_back(comm);
  if (comm->group != nullptr) comm->group->abort(runtimeError("aborted"));
  return kSuccess;
}

Code ncclGroupStart() {
  ++group_depth;
  return kSuccess;
}
Code ncclGroupEnd() {
  if (--group_depth > 0 || group_comm == nullptr) return kSuccess;
  std::exchange(group_comm, nullptr)->looks = kLooks;
  return kInProgress;
}

Code ncclAllReduce(const void* in, void* out, size_t count, DataType type, Operation operation,
                   Comm comm, cudaStream_t stream) {
  if (operation != kSum) return kInvalidArgument;
  return grouped(comm, comm->call("ncclAllReduce", text(count, type), stream, [=]() -> Status {
    DCC_RETURN_IF_ERROR(check(type, kFloat32));
    return comm->group->allReduceSum(static_cast<const float*>(in), static_cast<float*>(out), count,
                                     SumOrder::kRanks);
  }));
}
Code ncclAllGather(const void* in, void* out, size_t count, DataType type, Comm comm,
                   cudaStream_t stream) {
  return grouped(comm, comm->call("ncclAllGather", text(count, type), stream, [=]() -> Status {
    DCC_RETURN_IF_ERROR(check(type, kUint8));
    return comm->group->allGather(in, out, std::vector<size_t>(comm->ranks, count));
  }));
}
Code ncclReduceScatter(const void* in, void* out, size_t count, DataType type, Operation operation,
                       Comm comm, cudaStream_t stream) {
  if (operation != kSum) return kInvalidArgument;
  return grouped(comm, comm->call("ncclReduceScatter", text(count, type), stream, [=]() -> Status {
    DCC_RETURN_IF_ERROR(check(type, kFloat32));
    return comm->group->reduceScatterSum(static_cast<const float*>(in), static_cast<float*>(out),
                                         std::vector<size_t>(comm->ranks, count), SumOrder::kRanks);
  }));
}
Code ncclBroadcast(const void* in, void* out, size_t count, DataType type, int root, Comm comm,
                   cudaStream_t stream) {
  const std::string arguments = text(count, type) + " from " + std::to_string(root);
  return grouped(comm, comm->call("ncclBroadcast", arguments, stream, [=]() -> Status {
    DCC_RETURN_IF_ERROR(check(type, kUint8));
    if (comm->rank == root && in != out) std::memmove(out, in, count);
    return comm->group->broadcast(out, count, root);
  }));
}
Code ncclReduce(const void* in, void* out, size_t count, DataType type, Operation operation,
                int root, Comm comm, cudaStream_t stream) {
  if (operation != kSum) return kInvalidArgument;
  const std::string arguments = text(count, type) + " to " + std::to_string(root);
  return grouped(comm, comm->call("ncclReduce", arguments, stream, [=]() -> Status {
    DCC_RETURN_IF_ERROR(check(type, kFloat32));
    std::vector<size_t> counts(comm->ranks);
    counts[root] = count;
    return comm->group->reduceScatterSum(static_cast<const float*>(in), static_cast<float*>(out),
                                         counts, SumOrder::kRanks);
  }));
}

}  // extern "C"
