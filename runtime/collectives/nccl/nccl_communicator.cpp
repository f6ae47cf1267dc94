#include "runtime/collectives/nccl/nccl_communicator.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <string_view>
#include <thread>
#include <utility>

#include "runtime/backends/cuda/device_memory.h"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/collectives/call.h"
#include "runtime/collectives/nccl/nccl.h"
#include "runtime/collectives/whereabouts.h"

namespace dcc::nccl {
namespace {

using cuda::DeviceCard;
using cuda::DeviceGroupOptions;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long peers get to end their communicators as this rank ends its own.
constexpr milliseconds kFarewell{5'000};
constexpr auto kBetweenLooks = std::chrono::microseconds(200);
// Hearing of the group may ask the system about every connection.
constexpr milliseconds kBetweenHearings{10};

class Nccl final : public cuda::DeviceCommunicator {
 public:
  // `mark` has room for a uint32_t.
  Nccl(Communicator& host, const Api& api, const DeviceGroupOptions& options,
       cuda::PinnedMemory mark)
      : host_(host),
        overlap_(options.overlap),
        mark_(std::move(mark)),
        api_(api),
        deadline_(options.deadline),
        name_("NCCL " + versionText(api.version)) {
    beginStep();
  }
  ~Nccl() override;

  // Collective among all ranks that have `id`.
  Status join(const UniqueId& id);
  // In vain, for the others.
  bool hasWaited() const { return waited_; }

  uint32_t rank() const override { return host_.rank(); }
  uint32_t size() const override { return host_.size(); }
  std::string_view name() const override { return name_; }

  Status allReduceSum(const float* in, float* out, size_t count, SumOrder order,
                      cudaStream_t stream) override;
  Status allGather(const void* in, void* out, std::span<const size_t> bytes,
                   cudaStream_t stream) override;
  Status reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                          SumOrder order, cudaStream_t stream) override;
  bool capturable() const override { return true; }
  Status poll() override;
  void beginStep() final { mark().store(kSomeInstruction, std::memory_order_relaxed); }
  void beginInstruction(uint32_t instruction) override { instruction_ = instruction; }
  std::optional<uint32_t> failedAt() const override {
    const uint32_t last = mark().load(std::memory_order_relaxed);
    return last != kSomeInstruction ? std::optional(last) : std::nullopt;
  }
  void abort() override;

 private:
  // An error about what `code` says, where it is one.
  Status explain(const char* what, Code code);
  // Marks the instruction in `stream` and runs call(comm), which returns at once; waits until NCCL
  // has made what it needs for it.
  template <class Call>
  Status run(const char* what, cudaStream_t stream, const Call& call);
  Status settle(const char* what, milliseconds deadline);
  // What NCCL says of the communicator now. Error: it was aborted.
  Result<Code> state();

  // The instruction of the last call that has begun on the device.
  std::atomic_ref<uint32_t> mark() const {
    return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(mark_.data()));
  }

  Communicator& host_;
  bool overlap_;
  cuda::PinnedMemory mark_;
  uint32_t instruction_ = kSomeInstruction;
  Api api_;
  milliseconds deadline_;
  std::string name_;
  bool waited_ = false;
  std::mutex mutex_;     // abort() comes from other threads
  Comm comm_ = nullptr;  // null: not made, or aborted
};

Status Nccl::explain(const char* what, Code code) {
  if (code == kSuccess) return Status::success();
  std::string text = name_ + ": " + what + ": " + api_.getErrorString(code);
  const char* last = comm_ != nullptr ? api_.getLastError(comm_) : nullptr;
  // Of several lines the first says what it is about.
  if (last != nullptr && *last != 0) text.append(": ").append(last, std::strcspn(last, "\n"));
  return runtimeError(std::move(text));
}

Result<Code> Nccl::state() {
  const std::lock_guard lock(mutex_);
  if (comm_ == nullptr) return runtimeError(name_ + ": the communicator was aborted");
  Code code = kSuccess;
  const Code asked = api_.commGetAsyncError(comm_, &code);
  return asked == kSuccess ? code : asked;
}

Status Nccl::settle(const char* what, milliseconds deadline) {
  const auto start = steady_clock::now();
  auto hear = start + kBetweenHearings;
  while (true) {
    DCC_ASSIGN(const Code code, state());
    if (code != kInProgress) {
      const std::lock_guard lock(mutex_);
      return explain(what, code);
    }
    const auto now = steady_clock::now();
    if (now >= hear) {
      DCC_RETURN_IF_ERROR(host_.standBy());
      hear = now + kBetweenHearings;
    }
    if (now - start >= deadline) {
      waited_ = true;
      return runtimeError(name_ + ": " + what + ": still waiting for other ranks after " +
                          secondsText(deadline) + " s; a longer --timeout waits longer");
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

template <class Call>
Status Nccl::run(const char* what, cudaStream_t stream, const Call& call) {
  cuda::mark({stream, overlap_}, reinterpret_cast<uint32_t*>(mark_.data()), instruction_);
  {
    const std::lock_guard lock(mutex_);
    if (comm_ == nullptr) return runtimeError(name_ + ": the communicator was aborted");
    const Code code = call(comm_);
    if (code != kInProgress) return explain(what, code);
  }
  return settle(what, deadline_);
}

Status Nccl::join(const UniqueId& id) {
  Config config;
  config.blocking = 0;
  {
    const std::lock_guard lock(mutex_);
    const Code code = api_.commInitRankConfig(&comm_, static_cast<int>(size()), id,
                                              static_cast<int>(rank()), &config);
    if (code != kSuccess && code != kInProgress) return explain("ncclCommInitRankConfig", code);
  }
  return settle("ncclCommInitRankConfig", deadline_);
}

Nccl::~Nccl() {
  if (comm_ == nullptr) return;
  const Code code = api_.commFinalize(comm_);
  const bool ended =
      (code == kSuccess || code == kInProgress) && settle("ncclCommFinalize", kFarewell).ok();
  (ended ? api_.commDestroy : api_.commAbort)(comm_);
}

// As a ring moves them, the least that any way of NCCL's does: every byte of a sum twice, but a
// rank's own share of it.
uint64_t aroundRing(uint64_t bytes, uint32_t ranks) { return bytes / ranks * (ranks - 1); }

Status Nccl::allReduceSum(const float* in, float* out, size_t elements, SumOrder order,
                          cudaStream_t stream) {
  if (order != SumOrder::kRanks) {
    return runtimeError(name_ + ": sums in an order of its own; another transport is right");
  }
  if (elements == 0) return Status::success();
  const uint64_t moved = 2 * aroundRing(elements * sizeof(float), size());
  count({moved, moved});
  return run("ncclAllReduce", stream, [&](Comm comm) {
    return api_.allReduce(in, out, elements, kFloat32, kSum, comm, stream);
  });
}

bool allEqual(std::span<const size_t> sizes) {
  return std::all_of(sizes.begin(), sizes.end(), [&](size_t size) { return size == sizes[0]; });
}

// Calls part(r, begin) for each rank's part that is not empty, as one group of NCCL's.
template <class Part>
Code forParts(const Api& api, std::span<const size_t> sizes, const Part& part) {
  Code code = api.groupStart();
  size_t begin = 0;
  for (size_t r = 0; r < sizes.size(); begin += sizes[r++]) {
    if (sizes[r] == 0 || (code != kSuccess && code != kInProgress)) continue;
    code = part(static_cast<int>(r), begin);
  }
  const Code end = api.groupEnd();
  return code == kSuccess || code == kInProgress ? end : code;
}

Status Nccl::allGather(const void* in, void* out, std::span<const size_t> bytes,
                       cudaStream_t stream) {
  const uint64_t all = std::accumulate(bytes.begin(), bytes.end(), uint64_t{0});
  count({all - bytes[(rank() + 1) % size()], all - bytes[rank()]});
  if (allEqual(bytes)) {
    if (bytes[0] == 0) return Status::success();
    return run("ncclAllGather", stream,
               [&](Comm comm) { return api_.allGather(in, out, bytes[0], kUint8, comm, stream); });
  }
  return run("ncclBroadcast", stream, [&](Comm comm) {
    return forParts(api_, bytes, [&](int root, size_t begin) {
      std::byte* to = static_cast<std::byte*>(out) + begin;
      const bool own = root == static_cast<int>(rank());
      return api_.broadcast(own ? in : to, to, bytes[root], kUint8, root, comm, stream);
    });
  });
}

Status Nccl::reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                              SumOrder order, cudaStream_t stream) {
  if (order != SumOrder::kRanks) {
    return runtimeError(name_ + ": sums in an order of its own; another transport is right");
  }
  const uint64_t all = std::accumulate(counts.begin(), counts.end(), uint64_t{0}) * sizeof(float);
  const uint64_t moved = aroundRing(all, size());
  count({moved, moved});
  if (allEqual(counts)) {
    if (counts[0] == 0) return Status::success();
    return run("ncclReduceScatter", stream, [&](Comm comm) {
      return api_.reduceScatter(in, out, counts[0], kFloat32, kSum, comm, stream);
    });
  }
  return run("ncclReduce", stream, [&](Comm comm) {
    return forParts(api_, counts, [&](int root, size_t begin) {
      return api_.reduce(in + begin, out, counts[root], kFloat32, kSum, root, comm, stream);
    });
  });
}

Status Nccl::poll() {
  DCC_ASSIGN(const Code code, state());
  if (code != kInProgress) {
    const std::lock_guard lock(mutex_);
    DCC_RETURN_IF_ERROR(explain("a collective", code));
  }
  return host_.standBy();
}

void Nccl::abort() {
  const std::lock_guard lock(mutex_);
  if (comm_ != nullptr) api_.commAbort(std::exchange(comm_, nullptr));
}

// Two ranks that share a GPU, where there are such.
std::string sharedGpu(std::span<const DeviceCard> cards) {
  for (size_t b = 0; b < cards.size(); ++b) {
    for (size_t a = 0; a < b; ++a) {
      if (!cards[a].sameDevice(cards[b])) continue;
      return "ranks " + std::to_string(cards[a].number) + " and " +
             std::to_string(cards[b].number) + " share GPU " + cards[a].bus;
    }
  }
  return "";
}

Status checkSharing(const Api& api, std::span<const DeviceCard> cards) {
  const std::string shared = sharedGpu(cards);
  if (shared.empty()) return Status::success();
  const char* enabled = std::getenv(kSharedGpuVariable);
  if (api.version >= kSharedGpu && enabled != nullptr && std::string_view(enabled) == "1") {
    return Status::success();
  }
  return userError("NCCL " + versionText(api.version) + ": " + shared +
                   "; a GPU for each rank is right, or NCCL " + versionText(kSharedGpu) +
                   " or later with " + kSharedGpuVariable + "=1");
}

}  // namespace

Result<Attempt> ncclCommunicator(Communicator& host, std::span<const DeviceCard> cards,
                                 const DeviceGroupOptions& options) {
  Result<Api> api = open();
  Status own = api.ok() ? checkSharing(*api, cards) : Status(api.error());
  auto mark = cuda::PinnedMemory::allocate(sizeof(uint32_t));
  if (own.ok() && !mark.ok()) own = mark.error();
  UniqueId id = {};
  if (own.ok() && host.rank() == 0) {
    const Code code = api->getUniqueId(&id);
    if (code != kSuccess) {
      own = runtimeError("NCCL " + versionText(api->version) +
                         ": ncclGetUniqueId: " + api->getErrorString(code));
    }
  }
  DCC_ASSIGN(std::string refused, cuda::agree(host, own));
  if (!refused.empty()) return Attempt{nullptr, std::move(refused)};
  DCC_RETURN_IF_ERROR(host.broadcast(&id, sizeof(id), 0));
  auto nccl = std::make_unique<Nccl>(host, *api, options, std::move(*mark));
  const Status joined = nccl->join(id);
  // Why a rank could not says more than that others have waited for it.
  DCC_ASSIGN(refused, cuda::agree(host, nccl->hasWaited() ? Status::success() : joined));
  if (refused.empty()) {
    DCC_ASSIGN(refused, cuda::agree(host, joined));
  }
  if (!refused.empty()) {
    nccl->abort();
    return Attempt{nullptr, std::move(refused)};
  }
  return Attempt{std::move(nccl), ""};
}

}  // namespace dcc::nccl
