// Sums over ranks: the one place that decides the order, and so the bits, of every reduction.
#pragma once

#include <cstddef>
#include <span>

#include "runtime/collectives/communicator.h"

namespace dcc {

// out[i] = the sum over parts of parts[r][i]; `out` overlaps no part.
void sum(std::span<const float* const> parts, SumOrder order, float* out, size_t count);

// (parts[0][i] + parts[1][i]) + parts[2][i] ...
void sumInRankOrder(std::span<const float* const> parts, float* out, size_t count);

// As a balanced tree: the sum of the first parts, as many as the largest power of two below their
// number, plus the sum of the rest, each made alike. Sums of 2^i parts that begin at a multiple of
// 2^i are subtrees, so that who holds them may add them before.
void sumInTree(std::span<const float* const> parts, float* out, size_t count);

}  // namespace dcc
