// Results of many rows on their way to rank 0: blocks of rows, so that memory stays bounded for any
// chunk and vocabulary.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "runtime/collectives/communicator.h"
#include "runtime/generate/runner.h"

namespace dcc::generate {

// Rows of `columns` f32 that are gathered at a time.
inline size_t gatherRows(size_t columns) {
  constexpr size_t kBytes = size_t{4} << 20;
  return std::max<size_t>(1, kBytes / (sizeof(float) * std::max<size_t>(1, columns)));
}

// Rows whose columns are cut over the ranks of a group, brought to its rank 0.
class RowGather {
 public:
  explicit RowGather(Communicator& group) : group_(group) {}

  // Rows [first, first + n) of what `part` is a part of, whole; on ranks other than 0 nothing.
  // Valid until the next call.
  Result<std::span<const float>> operator()(const LogitsPart& part, size_t first, size_t n);

 private:
  Communicator& group_;
  std::vector<float> packed_, gathered_, rows_;
};

}  // namespace dcc::generate
