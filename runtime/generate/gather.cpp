#include "runtime/generate/gather.h"

namespace dcc::generate {

Result<std::span<const float>> RowGather::operator()(const LogitsPart& part, size_t first,
                                                     size_t n) {
  const bool cut = !part.begins.empty();
  const uint32_t ranks = cut ? group_.size() : 1;
  const auto own = static_cast<size_t>(part.columns);
  const auto columns = [&](uint32_t r) { return cut ? part.ends[r] - part.begins[r] : own; };
  packed_.resize(n * own);
  for (size_t i = 0; i < n; ++i) {
    const float* row = part.data + static_cast<int64_t>(first + i) * part.row_stride;
    std::copy_n(row, own, packed_.data() + i * own);
  }
  if (ranks > 1) {
    std::vector<size_t> bytes(ranks);
    for (uint32_t r = 0; r < ranks; ++r) bytes[r] = n * columns(r) * sizeof(float);
    gathered_.resize(n * part.allColumns());
    DCC_RETURN_IF_ERROR(group_.allGather(packed_.data(), gathered_.data(), bytes));
  }
  if (group_.rank() != 0) return std::span<const float>();
  if (!cut) return std::span<const float>(packed_);
  const size_t whole = *std::max_element(part.ends.begin(), part.ends.end());
  rows_.assign(n * whole, 0);
  const float* from = ranks > 1 ? gathered_.data() : packed_.data();
  for (uint32_t r = 0; r < ranks; ++r) {
    for (size_t i = 0; i < n; ++i, from += columns(r)) {
      std::copy_n(from, columns(r), rows_.data() + i * whole + part.begins[r]);
    }
  }
  return std::span<const float>(rows_);
}

}  // namespace dcc::generate
