// Collectives of peers: see peers.h.
#include <algorithm>
#include <initializer_list>

#include "runtime/backends/cuda/exchange.cuh"

namespace dcc::cuda {
namespace {

template <SumOrder kOrder, bool kWhole>
struct AllReduce : TakesOnly {
  static constexpr bool kSameToAll = true;
  const std::byte* in;
  std::byte* out;
  int64_t bytes;

  __device__ Words wordsFor(uint32_t, int64_t at) const {
    return loadWords<kWhole>(in + at, bytes - at);
  }
  __device__ void take(const Words (&all)[kMaxPeers], uint32_t ranks, int64_t at, Early) const {
    storeWords<kWhole>(out + at, bytes - at, sumOf<kOrder>(all, ranks));
  }
};

// Begins of ranks' parts, in bytes.
struct Parts {
  int64_t begin[kMaxPeers + 1];
  __host__ __device__ int64_t size(uint32_t r) const { return begin[r + 1] - begin[r]; }
};

template <bool kWhole>
struct AllGather : TakesOnly {
  static constexpr bool kSameToAll = true;
  const std::byte* in;
  std::byte* out;
  int64_t bytes;
  Parts parts;

  __device__ Words wordsFor(uint32_t, int64_t at) const {
    return loadWords<kWhole>(in + at, bytes - at);
  }
  __device__ void take(const Words (&all)[kMaxPeers], uint32_t ranks, int64_t at, Early) const {
    DCC_UNROLL
    for (uint32_t r = 0; r < kMaxPeers; ++r) {
      if (r < ranks) storeWords<kWhole>(out + parts.begin[r] + at, parts.size(r) - at, all[r]);
    }
  }
};

template <SumOrder kOrder, bool kWhole>
struct ReduceScatter : TakesOnly {
  static constexpr bool kSameToAll = false;
  const std::byte* in;
  std::byte* out;
  int64_t bytes;
  Parts parts;

  __device__ Words wordsFor(uint32_t r, int64_t at) const {
    return loadWords<kWhole>(in + parts.begin[r] + at, parts.size(r) - at);
  }
  __device__ void take(const Words (&all)[kMaxPeers], uint32_t ranks, int64_t at, Early) const {
    storeWords<kWhole>(out + at, bytes - at, sumOf<kOrder>(all, ranks));
  }
};

// The ranks' parts, each of sizes[r] units; `longest` becomes the bytes of the largest.
Parts partsOf(const PeerGroup& group, const size_t* sizes, size_t unit, int64_t& longest) {
  Parts parts = {};
  longest = 0;
  for (uint32_t r = 0; r < group.ranks; ++r) {
    const auto bytes = static_cast<int64_t>(sizes[r] * unit);
    parts.begin[r + 1] = parts.begin[r] + bytes;
    longest = std::max(longest, bytes);
  }
  return parts;
}

// Whether all addresses and sizes are multiples of 16 bytes; the kernels may differ between ranks,
// what they exchange does not.
bool areWhole(std::initializer_list<const void*> pointers, const Parts& parts, uint32_t ranks) {
  const auto whole = [](auto number) { return number % 16 == 0; };
  return std::all_of(parts.begin, parts.begin + ranks + 1, whole) &&
         std::all_of(pointers.begin(), pointers.end(),
                     [&](const void* p) { return whole(reinterpret_cast<uintptr_t>(p)); });
}

// body.operator()<order, whole>()
template <class Body>
void choose(SumOrder order, bool whole, const Body& body) {
  if (order == SumOrder::kRanks) {
    if (whole) return body.template operator()<SumOrder::kRanks, true>();
    return body.template operator()<SumOrder::kRanks, false>();
  }
  if (whole) return body.template operator()<SumOrder::kTree, true>();
  return body.template operator()<SumOrder::kTree, false>();
}

}  // namespace

void peerAllReduce(const Launch& on, const PeerGroup& group, const float* in, float* out,
                   size_t count, SumOrder order) {
  const auto* from = reinterpret_cast<const std::byte*>(in);
  auto* to = reinterpret_cast<std::byte*>(out);
  const Parts all = {{0, static_cast<int64_t>(count * sizeof(float))}};
  const int64_t bytes = all.size(0);
  choose(order, areWhole({in, out}, all, 1), [&]<SumOrder kOrder, bool kWhole>() {
    exchange(on, group, AllReduce<kOrder, kWhole>{{}, from, to, bytes}, bytes);
  });
}

void peerAllGather(const Launch& on, const PeerGroup& group, const void* in, void* out,
                   const size_t* bytes) {
  const auto* from = static_cast<const std::byte*>(in);
  auto* to = static_cast<std::byte*>(out);
  int64_t longest;
  const Parts parts = partsOf(group, bytes, 1, longest);
  const int64_t own = parts.size(group.rank);
  if (areWhole({in, out}, parts, group.ranks)) {
    exchange(on, group, AllGather<true>{{}, from, to, own, parts}, longest);
  } else {
    exchange(on, group, AllGather<false>{{}, from, to, own, parts}, longest);
  }
}

void peerReduceScatter(const Launch& on, const PeerGroup& group, const float* in, float* out,
                       const size_t* counts, SumOrder order) {
  const auto* from = reinterpret_cast<const std::byte*>(in);
  auto* to = reinterpret_cast<std::byte*>(out);
  int64_t longest;
  const Parts parts = partsOf(group, counts, sizeof(float), longest);
  const int64_t own = parts.size(group.rank);
  choose(order, areWhole({in, out}, parts, group.ranks), [&]<SumOrder kOrder, bool kWhole>() {
    exchange(on, group, ReduceScatter<kOrder, kWhole>{{}, from, to, own, parts}, longest);
  });
}

}  // namespace dcc::cuda
