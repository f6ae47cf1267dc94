// Collectives among GPUs that reach each other's memory, as kernels that need no host: every rank
// writes what the others need into their memory and waits for what they write into its own. All of
// it can be captured in a graph.
//
// Data travels in lines that carry the number of the exchange beside it, so that whoever sees the
// number has the data: no barriers, no fences, one way of latency. Each thread of each block has
// lines of its own for every peer, two sets used in turns. That is enough: who writes a set again
// has received what the peer sent in the exchange in between, in the same launch or an earlier one,
// and the peer sent that after it had read the set. For this all threads of a launch take part in
// all exchanges of their block, also where they have no data, and a block counts its exchanges in
// device memory, over launches and replays of graphs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/backends/cuda/add_norm.h"
#include "runtime/backends/cuda/cuda.h"
#include "runtime/collectives/communicator.h"

namespace dcc::cuda {

// As many as are linked directly to each other in one host.
inline constexpr uint32_t kMaxPeers = 8;

// Two words, each in 8 bytes that are written and read as one.
struct alignas(16) Line {
  uint64_t halves[2];  // low: data; high: number of the exchange
};
// Of a thread, per exchange and peer.
inline constexpr uint32_t kLinesPerThread = 2;
inline constexpr uint32_t kWordsPerThread = 2 * kLinesPerThread;

// In page-locked host memory, written by both sides.
struct PeerState {
  uint64_t missing;  // low: a rank + 1 that was waited for in vain; high: by which instruction
  uint32_t stop;     // not 0: nobody waits for peers any longer
};

// What a block keeps from launch to launch.
struct alignas(8) PeerBlock {
  uint32_t exchanges;  // so far
  uint32_t ended;      // not 0: one of its threads has given up, and it says nothing any more
};

// What a rank's kernels need to know of the group, the same on all ranks but for addresses.
struct PeerGroup {
  uint32_t rank = 0, ranks = 0;
  // A launch has up to so many blocks, of up to so many threads (a multiple of 32, at most 256).
  // Not more blocks than all run at once: each waits for its like on other GPUs.
  uint32_t blocks = 0, threads = 0;
  Line* lines[kMaxPeers] = {};  // every rank's memory of peerLinesBytes(), as this one reaches it
  PeerBlock* own = nullptr;     // [blocks] in this rank's own memory, zeroed at first
  PeerState* state = nullptr;   // as the device reaches it
  uint64_t patience = 0;        // nanoseconds that a peer is waited for
  uint32_t instruction = 0;     // what launches are of
};

// Zeroed at first.
constexpr size_t peerLinesBytes(uint32_t ranks, uint32_t blocks, uint32_t threads) {
  return sizeof(Line) * 2 * ranks * kLinesPerThread * blocks * threads;
}

// As DeviceCommunicator's calls of these names; sums are made in `order`, bit for bit as
// runtime/collectives/sum.h makes them.
void peerAllReduce(const Launch& on, const PeerGroup& group, const float* in, float* out,
                   size_t count, SumOrder order);
// norm.sum = norm.other + the sum over ranks of `in`, dense, in their order; norm.out is its norm.
// Where peerNormFits(); matrices begin at multiples of 16 bytes, their rows of 4 elements. Takes
// Launch::counters.
void peerAllReduceAddNorm(const Launch& on, const PeerGroup& group, const float* in,
                          const AddNorm& norm);
// The same on all ranks.
bool peerNormFits(const PeerGroup& group, int64_t rows, int64_t cols);
void peerAllGather(const Launch& on, const PeerGroup& group, const void* in, void* out,
                   const size_t* bytes);
void peerReduceScatter(const Launch& on, const PeerGroup& group, const float* in, float* out,
                       const size_t* counts, SumOrder order);

}  // namespace dcc::cuda
