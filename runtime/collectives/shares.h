// How a sum over ranks is divided among them, on every transport.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runtime/base/checked.h"

namespace dcc {

// From so many bytes on, where ranks are more than two, each sums only its share of a payload and
// the sums are gathered: one exchange more, but each rank receives the payload twice and not once
// per peer.
inline bool sumsByShares(uint32_t ranks, size_t bytes) {
  return ranks > 2 && bytes >= (size_t{32} << 10);
}

// The shares of `count` elements: all begin at a cache line, the last may be short or empty.
class Shares {
 public:
  Shares(size_t count, uint32_t ranks)
      : count_(count), share_(alignUp(ceilDiv<size_t>(count, ranks), kUnit)) {}

  size_t begin(uint32_t rank) const { return std::min(count_, rank * share_); }
  size_t size(uint32_t rank) const { return begin(rank + 1) - begin(rank); }

 private:
  static constexpr size_t kUnit = 16;  // elements

  size_t count_, share_;
};

// Over TCP, sums go in chunks of so many bytes per peer: what a socket and a core's second-level
// cache hold.
inline constexpr size_t kTcpChunkBytes = size_t{256} << 10;

}  // namespace dcc
