// The memory that a group's kernels exchange through, opened by all of its ranks.
#pragma once

#include <span>
#include <vector>

#include "runtime/backends/cuda/device_cards.h"
#include "runtime/backends/cuda/peers.h"
#include "runtime/base/status.h"

namespace dcc::cuda {

class PeerMemory {
 public:
  PeerMemory() = default;
  ~PeerMemory();
  PeerMemory(const PeerMemory&) = delete;
  PeerMemory& operator=(const PeerMemory&) = delete;

  // Collective: takes this rank's memory and opens the others'. Where it returns "" it has worked
  // on all ranks, else why it did not. Error (runtime): as of any call.
  Result<std::string> open(Communicator& host, std::span<const DeviceCard> cards, uint32_t blocks,
                           uint32_t threads);

  // For launches; `patience` is the caller's.
  const PeerGroup& group() const { return group_; }
  // What the device and the host tell each other.
  bool stopped() const;
  // A rank + 1 that was waited for in vain, and by which instruction; 0 as long as there is none.
  uint32_t missing() const;
  uint32_t missedBy() const;
  void stop();

 private:
  // What a rank tells the others of its memory.
  struct Offer {
    cudaIpcMemHandle_t handle;  // for other processes
    Line* lines;                // for this one
  };
  Status take(Offer& offer);
  Status openAll(std::span<const DeviceCard> cards, std::span<const Offer> offers);

  PeerGroup group_;
  PeerState* state_ = nullptr;
  std::vector<void*> opened_;
};

}  // namespace dcc::cuda
