#include "runtime/backends/cuda/peer_memory.h"

#include <atomic>

#include "runtime/backends/cuda/errors.h"

namespace dcc::cuda {
namespace {

// Of another device of this process.
Status enableAccess(int device, int peer) {
  int reaches = 0;
  DCC_RETURN_IF_ERROR(check(cudaDeviceCanAccessPeer(&reaches, device, peer), "access to peers"));
  if (reaches == 0) return runtimeError("GPUs that do not reach each other's memory");
  const cudaError_t error = cudaDeviceEnablePeerAccess(peer, 0);
  if (error == cudaErrorPeerAccessAlreadyEnabled) {
    cudaGetLastError();
    return Status::success();
  }
  return check(error, "access to peers");
}

}  // namespace

// Peers may still have it open: that is theirs to close. Nobody writes any more, for every call has
// waited for all that was sent to this rank.
PeerMemory::~PeerMemory() {
  for (void* memory : opened_) cudaIpcCloseMemHandle(memory);
  if (group_.ranks != 0) cudaFree(group_.lines[group_.rank]);
  cudaFreeHost(state_);
}

Result<std::string> PeerMemory::open(Communicator& host, std::span<const DeviceCard> cards,
                                     uint32_t blocks, uint32_t threads) {
  group_.rank = host.rank();
  group_.ranks = host.size();
  group_.blocks = blocks;
  group_.threads = threads;
  Offer own = {};
  const Status taken = take(own);
  std::vector<Offer> offers(host.size());
  const std::vector<size_t> bytes(host.size(), sizeof(Offer));
  DCC_RETURN_IF_ERROR(host.allGather(&own, offers.data(), bytes));
  DCC_ASSIGN(std::string refused, agree(host, taken));
  if (!refused.empty()) return refused;
  return agree(host, openAll(cards, offers));
}

Status PeerMemory::take(Offer& offer) {
  constexpr const char* kWhere = "memory shared by GPUs";
  const size_t lines = peerLinesBytes(group_.ranks, group_.blocks, group_.threads);
  const size_t all = lines + group_.blocks * sizeof(PeerBlock);
  std::byte* memory = nullptr;
  DCC_RETURN_IF_ERROR(check(cudaMalloc(&memory, all), kWhere));
  offer.lines = group_.lines[group_.rank] = reinterpret_cast<Line*>(memory);
  group_.own = reinterpret_cast<PeerBlock*>(memory + lines);
  DCC_RETURN_IF_ERROR(check(cudaMemset(memory, 0, all), kWhere));
  void* state = nullptr;
  DCC_RETURN_IF_ERROR(check(cudaHostAlloc(&state, sizeof(PeerState), cudaHostAllocMapped), kWhere));
  state_ = new (state) PeerState{};
  DCC_RETURN_IF_ERROR(check(cudaHostGetDevicePointer(&state, state_, 0), kWhere));
  group_.state = static_cast<PeerState*>(state);
  DCC_RETURN_IF_ERROR(check(cudaDeviceSynchronize(), kWhere));  // zeros before others write
  return check(cudaIpcGetMemHandle(&offer.handle, memory), "CUDA IPC");
}

Status PeerMemory::openAll(std::span<const DeviceCard> cards, std::span<const Offer> offers) {
  const DeviceCard& own = cards[group_.rank];
  for (uint32_t r = 0; r < group_.ranks; ++r) {
    if (r == group_.rank) continue;
    if (cards[r].process == own.process) {
      if (cards[r].device != own.device) {
        DCC_RETURN_IF_ERROR(enableAccess(own.device, cards[r].device));
      }
      group_.lines[r] = offers[r].lines;
      continue;
    }
    void* memory = nullptr;
    DCC_RETURN_IF_ERROR(
        check(cudaIpcOpenMemHandle(&memory, offers[r].handle, cudaIpcMemLazyEnablePeerAccess),
              "CUDA IPC"));
    opened_.push_back(memory);
    group_.lines[r] = static_cast<Line*>(memory);
  }
  return Status::success();
}

bool PeerMemory::stopped() const {
  return std::atomic_ref<uint32_t>(state_->stop).load(std::memory_order_relaxed) != 0;
}
uint32_t PeerMemory::missing() const {
  return static_cast<uint32_t>(
      std::atomic_ref<uint64_t>(state_->missing).load(std::memory_order_relaxed));
}
uint32_t PeerMemory::missedBy() const {
  return static_cast<uint32_t>(
      std::atomic_ref<uint64_t>(state_->missing).load(std::memory_order_relaxed) >> 32);
}
void PeerMemory::stop() {
  std::atomic_ref<uint32_t>(state_->stop).store(1, std::memory_order_relaxed);
}

}  // namespace dcc::cuda
