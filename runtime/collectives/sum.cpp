#include "runtime/collectives/sum.h"

#include <algorithm>
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

}  // namespace

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
