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

Status lookAfter(std::span<DeviceCommunicator* const> groups) {
  for (DeviceCommunicator* group : groups) {
    if (group != nullptr) DCC_RETURN_IF_ERROR(group->poll());
  }
  return Status::success();
}

}  // namespace

Status waitFor(cudaEvent_t event, std::span<DeviceCommunicator* const> groups,
               std::chrono::milliseconds deadline) {
  const auto start = steady_clock::now();
  auto look = start + kBetweenLooks;
  Status status;
  while (true) {
    const cudaError_t state = cudaEventQuery(event);
    // What a kernel that gave up has left looks like a result.
    if (state == cudaSuccess) {
      status = lookAfter(groups);
      break;
    }
    if (state != cudaErrorNotReady) {
      status = check(state, "the device");
      break;
    }
    const auto now = steady_clock::now();
    if (now >= look) {
      look = now + kBetweenLooks;
      status = lookAfter(groups);
      if (status.ok() && now - start >= deadline) {
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
