#include "runtime/collectives/sum.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dcc {
namespace {

// Of `out`, small enough to stay in the first-level cache while all parts are added.
constexpr size_t kBlock = 2048;

void addTwo(const float* __restrict a, const float* __restrict b, float* __restrict out, size_t n) {
  for (size_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

void addTwoMore(const float* __restrict a, const float* __restrict b, float* __restrict out,
                size_t n) {
  for (size_t i = 0; i < n; ++i) out[i] = (out[i] + a[i]) + b[i];
}

void addOneMore(const float* __restrict a, float* __restrict out, size_t n) {
  for (size_t i = 0; i < n; ++i) out[i] += a[i];
}

// Elements [begin, begin + n) of the parts, n <= kBlock.
void sumTreeBlock(std::span<const float* const> parts, size_t begin, float* out, size_t n) {
  if (parts.size() == 1) {
    std::memcpy(out, parts[0] + begin, n * sizeof(float));
  } else if (parts.size() == 2) {
    addTwo(parts[0] + begin, parts[1] + begin, out, n);
  } else {
    const size_t left = std::bit_ceil(parts.size()) / 2;
    float right[kBlock];
    sumTreeBlock(parts.first(left), begin, out, n);
    sumTreeBlock(parts.subspan(left), begin, right, n);
    addOneMore(right, out, n);
  }
}

}  // namespace

void sum(std::span<const float* const> parts, SumOrder order, float* out, size_t count) {
  (order == SumOrder::kTree ? sumInTree : sumInRankOrder)(parts, out, count);
}

void sumInTree(std::span<const float* const> parts, float* out, size_t count) {
  for (size_t begin = 0; begin < count; begin += kBlock) {
    sumTreeBlock(parts, begin, out + begin, std::min(kBlock, count - begin));
  }
}

void sumInRankOrder(std::span<const float* const> parts, float* out, size_t count) {
  if (parts.size() == 1) {
    std::memcpy(out, parts[0], count * sizeof(float));
    return;
  }
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t n = std::min(kBlock, count - begin);
    float* to = out + begin;
    addTwo(parts[0] + begin, parts[1] + begin, to, n);
    size_t r = 2;
    for (; r + 1 < parts.size(); r += 2) addTwoMore(parts[r] + begin, parts[r + 1] + begin, to, n);
    if (r < parts.size()) addOneMore(parts[r] + begin, to, n);
  }
}

}  // namespace dcc
