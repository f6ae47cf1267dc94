// Sums in rank order: the one place that decides the order, and so the bits, of every reduction.
#pragma once

#include <cstddef>
#include <span>

namespace dcc {

// out[i] = (parts[0][i] + parts[1][i]) + parts[2][i] ...; `out` overlaps no part.
void sumInRankOrder(std::span<const float* const> parts, float* out, size_t count);

}  // namespace dcc
