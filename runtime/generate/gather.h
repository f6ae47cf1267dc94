// Logits of many positions on their way to rank 0: blocks of rows, so that memory stays bounded for
// any chunk and vocabulary.
#pragma once

#include <algorithm>
#include <cstddef>

namespace dcc::generate {

// Rows of `columns` f32 that are gathered at a time.
inline size_t gatherRows(size_t columns) {
  constexpr size_t kBytes = size_t{4} << 20;
  return std::max<size_t>(1, kBytes / (sizeof(float) * std::max<size_t>(1, columns)));
}

}  // namespace dcc::generate
