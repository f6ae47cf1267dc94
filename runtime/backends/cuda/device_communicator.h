// Collectives among the ranks of one mesh axis on device memory, in a stream. One object per rank
// and axis, used by one thread at a time but for abort().
//
// All ranks make the same calls in the same order with the same sizes, as of a Communicator
// (runtime/collectives/communicator.h), and those of one object go into one stream, or into streams
// that wait for each other. Calls return before the work is done: what goes wrong on the way says
// poll(), after which nothing that was received counts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/backends/cuda/add_norm.h"
#include "runtime/backends/cuda/cuda.h"
#include "runtime/backends/cuda/device_transport.h"
#include "runtime/base/status.h"
#include "runtime/collectives/communicator.h"

namespace dcc::cuda {

class DeviceCommunicator {
 public:
  virtual ~DeviceCommunicator() = default;

  virtual uint32_t rank() const = 0;
  virtual uint32_t size() const = 0;
  // What carries the calls, as users call it: "host memory", "NCCL 2.28.9", "CUDA IPC".
  virtual std::string_view name() const = 0;

  // Pointers are to device memory; f32 is aligned to 4 bytes, and fastest where to 16.

  // out[i] = sum over ranks of in[i], in `order`; in == out allowed. All ranks get the same bits.
  // NCCL keeps no order of its own: it takes kRanks as "any" and refuses kTree, a runtime error.
  virtual Status allReduceSum(const float* in, float* out, size_t count, SumOrder order,
                              cudaStream_t stream) = 0;
  // Rank r contributes bytes[r] bytes; out receives all, in rank order, and does not overlap `in`.
  virtual Status allGather(const void* in, void* out, std::span<const size_t> bytes,
                           cudaStream_t stream) = 0;
  // Rank r receives elements [sum of counts before r, + counts[r]) of the sum; out does not overlap
  // `in`. Orders as for allReduceSum.
  virtual Status reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                                  SumOrder order, cudaStream_t stream) = 0;

  // Collective: whether allReduceAddNorm() may be called at a place where it can be, as far as each
  // rank knows its own memory.
  virtual Result<bool> mayAddNorm(bool) { return false; }
  // Whether it then takes matrices of this size: the same on all ranks. They begin at multiples of
  // 16 bytes, and their rows of 4 elements.
  virtual bool takesAddNorm(int64_t, int64_t) const { return false; }
  // allReduceSum() in ranks' order of `in`, of as many elements as norm.sum, and what comes of it;
  // with Launch::counters.
  virtual Status allReduceAddNorm(const float*, const AddNorm&, const Launch&) {
    return runtimeError(std::string(name()) + ": no sums with a norm");
  }

  // Whether calls can be captured in a graph: always the same answer, on all ranks.
  virtual bool capturable() const = 0;

  // Whether all is well so far, on the device and in the group. Does not wait. Error (runtime): a
  // peer that never came, what NCCL found, what ended the group; from then on always.
  virtual Status poll() = 0;

  // For failedAt(): a step begins, and until the next one calls are of the instructions told; those
  // that a graph has captured keep theirs.
  virtual void beginStep() {}
  virtual void beginInstruction(uint32_t) {}
  // Of a step that does not end, or whose poll() is an error: the instruction whose call does not,
  // where that is known.
  virtual std::optional<uint32_t> failedAt() const { return std::nullopt; }

  // What this rank's calls move between devices, each counted when it is made: what a graph replays
  // is counted where it was captured.
  const Traffic& traffic() const { return traffic_; }

  // Makes work that waits for peers on the device end soon; of no use afterwards. Callable from any
  // thread.
  virtual void abort() = 0;

 protected:
  void count(const Traffic& call) { traffic_ += call; }

 private:
  Traffic traffic_;
};

// Whether sums go together with the norms behind them: what a measurement at the start says, or
// always, or never.
enum class FuseNorms : uint8_t { kMeasured, kAlways, kNever };

struct DeviceGroupOptions {
  DeviceTransport transport = DeviceTransport::kAuto;
  // Longest time that a rank is waited for on the device.
  std::chrono::milliseconds deadline{30'000};
  // This rank's number for errors, where it is another than that in the group.
  std::optional<uint32_t> number = {};
  bool overlap = false;  // Launch::overlap
  FuseNorms fuse_norms = FuseNorms::kMeasured;
};

// Collective: the ranks of `host`, which outlives the result, each with its current device. Errors:
// kNccl where NCCL is missing, too old or refuses (user); what goes wrong on the way (runtime).
Result<std::unique_ptr<DeviceCommunicator>> deviceCommunicator(Communicator& host,
                                                               const DeviceGroupOptions& options);

// Waits until `event` has happened and meanwhile looks after `groups`, of which some may be null.
// Errors (runtime): as of poll(), of the instruction that `failed_at` then says where it is known;
// `deadline` is over. Then all groups have been aborted, and `event` will happen soon.
Status waitFor(cudaEvent_t event, std::span<DeviceCommunicator* const> groups,
               std::chrono::milliseconds deadline, std::optional<uint32_t>* failed_at = nullptr);

}  // namespace dcc::cuda
