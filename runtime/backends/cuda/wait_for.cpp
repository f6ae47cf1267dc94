#include <algorithm>
#include <string>
#include <thread>

#include "runtime/backends/cuda/device_communicator.h"
#include "runtime/backends/cuda/errors.h"
#include "runtime/collectives/call.h"

namespace dcc::cuda {
namespace {

using std::chrono::steady_clock;

// A look after a group may ask the system about every connection; this often it costs nothing.
constexpr auto kBetweenLooks = std::chrono::milliseconds(10);

Status lookAfter(std::span<DeviceCommunicator* const> groups, std::optional<uint32_t>& failed_at) {
  for (DeviceCommunicator* group : groups) {
    if (group == nullptr) continue;
    Status status = group->poll();
    if (status.ok()) continue;
    failed_at = group->failedAt();
    return status;
  }
  return Status::success();
}

// Of the groups' calls the one that has got furthest: what waits for another group is before it.
std::optional<uint32_t> lastOf(std::span<DeviceCommunicator* const> groups) {
  std::optional<uint32_t> last;
  for (DeviceCommunicator* group : groups) {
    if (group != nullptr) last = std::max(last, group->failedAt());
  }
  return last;
}

}  // namespace

Status waitFor(cudaEvent_t event, std::span<DeviceCommunicator* const> groups,
               std::chrono::milliseconds deadline, std::optional<uint32_t>* failed_at) {
  std::optional<uint32_t> unasked;
  std::optional<uint32_t>& at = failed_at != nullptr ? *failed_at : unasked;
  const auto start = steady_clock::now();
  auto look = start + kBetweenLooks;
  Status status;
  while (true) {
    const cudaError_t state = cudaEventQuery(event);
    // What a kernel that gave up has left looks like a result.
    if (state == cudaSuccess) {
      status = lookAfter(groups, at);
      break;
    }
    if (state != cudaErrorNotReady) {
      status = check(state, "the device");
      break;
    }
    const auto now = steady_clock::now();
    if (now >= look) {
      look = now + kBetweenLooks;
      status = lookAfter(groups, at);
      if (status.ok() && now - start >= deadline) {
        at = lastOf(groups);
        status = runtimeError("the device has not ended its work for " + secondsText(deadline) +
                              " s; a longer --timeout waits longer");
      }
      if (!status.ok()) break;
    }
    std::this_thread::yield();
  }
  if (!status.ok()) {
    for (DeviceCommunicator* group : groups) {
      if (group != nullptr) group->abort();
    }
  }
  return status;
}

}  // namespace dcc::cuda
