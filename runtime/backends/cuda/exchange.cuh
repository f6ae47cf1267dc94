// An exchange among peers (peers.h) as a kernel: what is read for whom and what is made of what
// came differs.
#pragma once

#include <algorithm>

#include "runtime/backends/cuda/peer_access.cuh"

namespace dcc::cuda {

inline constexpr int64_t kMaxThreads = 256;
// A peer that is late is asked the clock for, and then the host, only so often.
inline constexpr uint32_t kLooksBetweenTimes = 64;
inline constexpr uint64_t kBetweenStops = 1'000'000;

// What a thread gives to a peer or gets from it in one exchange.
struct Words {
  uint32_t word[kWordsPerThread];
};

// The words at `from`, zeros behind the first `left` bytes. kWhole: there are no parts of 16 bytes,
// and addresses are multiples of them.
template <bool kWhole>
__device__ Words loadWords(const std::byte* from, int64_t left) {
  Words words = {};
  if constexpr (kWhole) {
    if (left <= 0) return words;
    const uint4 all = *reinterpret_cast<const uint4*>(from);
    return {{all.x, all.y, all.z, all.w}};
  }
  const auto address = reinterpret_cast<uintptr_t>(from);
  DCC_UNROLL
  for (int i = 0; i < 4; ++i) {
    const std::byte* at = from + 4 * i;
    if (left >= 4 * (i + 1) && address % 4 == 0) {
      words.word[i] = *reinterpret_cast<const uint32_t*>(at);
      continue;
    }
    for (int b = 0; b < 4 && 4 * i + b < left; ++b) {
      words.word[i] |= static_cast<uint32_t>(at[b]) << 8 * b;
    }
  }
  return words;
}

// The first `left` bytes of `words` to `to`.
template <bool kWhole>
__device__ void storeWords(std::byte* to, int64_t left, const Words& words) {
  if constexpr (kWhole) {
    if (left <= 0) return;
    *reinterpret_cast<uint4*>(to) = {words.word[0], words.word[1], words.word[2], words.word[3]};
    return;
  }
  const auto address = reinterpret_cast<uintptr_t>(to);
  DCC_UNROLL
  for (int i = 0; i < 4; ++i) {
    std::byte* at = to + 4 * i;
    if (left >= 4 * (i + 1) && address % 4 == 0) {
      *reinterpret_cast<uint32_t*>(at) = words.word[i];
      continue;
    }
    for (int b = 0; b < 4 && 4 * i + b < left; ++b) {
      at[b] = static_cast<std::byte>(words.word[i] >> 8 * b);
    }
  }
}

// Of all ranks' words, in the order in which the host sums them (runtime/collectives/sum.h).
template <SumOrder kOrder>
__device__ Words sumOf(const Words (&all)[kMaxPeers], uint32_t ranks) {
  Words sums;
  DCC_UNROLL
  for (uint32_t w = 0; w < kWordsPerThread; ++w) {
    float parts[kMaxPeers];
    DCC_UNROLL
    for (uint32_t r = 0; r < kMaxPeers; ++r) parts[r] = __uint_as_float(all[r].word[w]);
    if constexpr (kOrder == SumOrder::kRanks) {
      DCC_UNROLL
      for (uint32_t r = 1; r < kMaxPeers; ++r) {
        if (r < ranks) parts[0] += parts[r];
      }
    } else {
      DCC_UNROLL
      for (uint32_t step = 1; step < kMaxPeers; step *= 2) {
        DCC_UNROLL
        for (uint32_t r = 0; r + step < kMaxPeers; r += 2 * step) {
          if (r + step < ranks) parts[r] += parts[r + step];
        }
      }
    }
    sums.word[w] = __float_as_uint(parts[0]);
  }
  return sums;
}

// A thread's lines that `from` writes and `to` reads, in exchange `number`; they are `stride`
// apart, so that a warp writes and reads without gaps.
struct LinesPlace {
  Line* first;
  uint32_t stride;
};
__device__ inline LinesPlace placeOf(const PeerGroup& g, uint32_t from, uint32_t to,
                                     uint32_t number) {
  const uint32_t threads = g.blocks * g.threads;
  const size_t of = size_t{number & 1} * g.ranks + from;
  return {g.lines[to] + of * kLinesPerThread * threads + blockIdx.x * g.threads + threadIdx.x,
          threads};
}

__device__ inline void send(const LinesPlace& place, const Words& words, uint32_t number) {
  const uint64_t high = uint64_t{number} << 32;
  DCC_UNROLL
  for (uint32_t l = 0; l < kLinesPerThread; ++l) {
    storeLine(place.first + l * place.stride, high | words.word[2 * l],
              high | words.word[2 * l + 1]);
  }
}

// Looks once for what all others have sent, and returns one whose words have not come, or
// kMaxPeers. `own` are this rank's among `all`.
__device__ inline uint32_t receive(const PeerGroup& g, uint32_t number, const Words& own,
                                   Words (&all)[kMaxPeers]) {
  Line lines[kMaxPeers][kLinesPerThread];
  DCC_UNROLL
  for (uint32_t r = 0; r < kMaxPeers; ++r) {
    const bool sends = r < g.ranks && r != g.rank;
    const LinesPlace place = placeOf(g, sends ? r : 0, g.rank, number);
    DCC_UNROLL
    for (uint32_t l = 0; l < kLinesPerThread; ++l) {
      lines[r][l] = loadLineIf(sends, place.first + l * place.stride);
    }
  }
  uint32_t missing = kMaxPeers;
  DCC_UNROLL
  for (uint32_t r = 0; r < kMaxPeers; ++r) {
    const bool sends = r < g.ranks && r != g.rank;
    DCC_UNROLL
    for (uint32_t w = 0; w < kWordsPerThread; ++w) {
      const uint64_t half = lines[r][w / 2].halves[w % 2];
      all[r].word[w] = r == g.rank ? own.word[w] : static_cast<uint32_t>(half);
      if (sends && half >> 32 != number) missing = r;
    }
  }
  return missing;
}

// How long a thread has waited; asks for the time seldom.
class Patience {
 public:
  __device__ explicit Patience(const PeerGroup& g) : group_(g) {}

  // After every look at what has not come: whether to give up. `missing`: who is waited for.
  __device__ bool ends(uint32_t missing) {
    pauseBetweenLooks();
    if (++looks_ % kLooksBetweenTimes != 0) return false;
    const uint64_t now = nanoseconds();
    if (begin_ == 0) {
      begin_ = now;
    } else if (now < next_) {
      return false;
    }
    next_ = now + kBetweenStops;
    if (loadShared(&group_.state->stop) != 0) return true;
    if (now - begin_ < group_.patience) return false;
    storeShared(&group_.state->missing, uint64_t{group_.instruction} << 32 | (missing + 1));
    storeShared(&group_.state->stop, 1u);
    return true;
  }

 private:
  const PeerGroup& group_;
  uint32_t looks_ = 0;
  uint64_t begin_ = 0, next_ = 0;
};

// What is to be exchanged is told by a What, of which `at` is a byte's place in every rank's part:
//   kSameToAll                    whether all ranks are sent the same words
//   Early early(at)               what can be read before others' words have come
//   Words wordsFor(rank, at)
//   take(all, ranks, at, early)   every rank's words have come
//   finish()                      by all threads of a block, when all have ended
// `longest`: bytes of the largest part.
template <class What>
__global__ void __launch_bounds__(kMaxThreads)
    exchangeKernel(const __grid_constant__ What what, const __grid_constant__ PeerGroup group,
                   int64_t longest) {
  waitForInputs();
  constexpr int64_t kBytes = kWordsPerThread * sizeof(uint32_t);
  const int64_t block_bytes = blockDim.x * kBytes;
  PeerBlock& block = group.own[blockIdx.x];
  const PeerBlock before = block;
  uint32_t number = before.exchanges;
  for (int64_t begin = blockIdx.x * block_bytes; begin < longest;
       begin += gridDim.x * block_bytes) {
    const int64_t at = begin + threadIdx.x * kBytes;
    ++number;
    const Words own = what.wordsFor(group.rank, at);
    const auto early = what.early(at);
    if (before.ended != 0) break;  // asked for here so as not to be waited for before
    // Each rank begins with the one behind it, so that not all write to the same at once.
    for (uint32_t i = 1; i < group.ranks; ++i) {
      const uint32_t to =
          group.rank + i < group.ranks ? group.rank + i : group.rank + i - group.ranks;
      send(placeOf(group, group.rank, to, number), What::kSameToAll ? own : what.wordsFor(to, at),
           number);
    }
    Words all[kMaxPeers];
    Patience patience(group);
    uint32_t missing;
    do {
      missing = receive(group, number, own, all);
    } while (missing != kMaxPeers && !patience.ends(missing));
    if (missing != kMaxPeers) {
      // Who still waits must find what this rank has sent so far.
      block.ended = 1;
      break;
    }
    what.take(all, group.ranks, at, early);
  }
  __syncthreads();  // all have read the number
  if (threadIdx.x == 0) block.exchanges = number;
  what.finish();
}

// Of exchanges that need nothing early and end with what they take.
struct TakesOnly {
  struct Early {};
  __device__ Early early(int64_t) const { return {}; }
  __device__ void finish() const {}
};

template <class What>
void launchExchange(const Launch& on, const PeerGroup& group, const What& what, int64_t longest,
                    unsigned blocks, unsigned threads) {
  launch(on, exchangeKernel<What>, dim3(blocks), dim3(threads), 0, what, group, longest);
}

// As many blocks as there are warps' worths of data, so that it goes over all of the GPU's ways
// out.
template <class What>
void exchange(const Launch& on, const PeerGroup& group, const What& what, int64_t longest) {
  if (longest == 0) return;
  constexpr int64_t kWarp = 32, kWarpBytes = kWarp * kWordsPerThread * sizeof(uint32_t);
  const int64_t warps = (longest + kWarpBytes - 1) / kWarpBytes;
  const int64_t blocks = std::min<int64_t>(group.blocks, warps);
  const int64_t threads = std::min<int64_t>(std::min<int64_t>(group.threads, kMaxThreads),
                                            kWarp * ((warps + blocks - 1) / blocks));
  launchExchange(on, group, what, longest, static_cast<unsigned>(blocks),
                 static_cast<unsigned>(threads));
}

}  // namespace dcc::cuda
