#include "runtime/backends/cuda/step_block.h"

#include <algorithm>
#include <cstring>

#include "runtime/base/checked.h"
#include "runtime/plan/access.h"

namespace dcc::cuda {
namespace {

int32_t* ints(std::byte* block, size_t offset) {
  return reinterpret_cast<int32_t*>(block + offset);
}
const int32_t* ints(const std::byte* block, size_t offset) {
  return reinterpret_cast<const int32_t*>(block + offset);
}

// The values, then `fill` up to `count`.
void put(int32_t* to, std::span<const int32_t> values, int64_t count, int32_t fill) {
  std::fill(std::copy(values.begin(), values.end(), to), to + count, fill);
}

}  // namespace

StepBlock::StepBlock(const plan::fb::Plan& plan, int64_t T, int64_t B) : T_(T), B_(B) {
  const auto take = [this](int64_t count) {
    const size_t at = bytes_;
    bytes_ += alignUp(static_cast<uint64_t>(count) * sizeof(int32_t), uint64_t{64});
    return at;
  };
  live_ = take(1);
  tokens_ = take(T);
  positions_ = take(T);
  types_ = take(T);
  sequences_ = take(T);
  starts_ = take(B + 1);
  rope_lengths_ = take(B);
  for (const plan::fb::PageGroup* group : plan::rows(plan.page_groups())) {
    strides_.push_back(
        static_cast<uint32_t>(ceilDiv<uint64_t>(plan.max_seq_len(), group->tokens_per_page())));
    tables_.push_back(take(B * strides_.back()));
  }
}

void StepBlock::fill(const Step& step, std::byte* block) const {
  const int64_t T = step.T(), B = step.B();
  *ints(block, live_) = static_cast<int32_t>(T);
  put(ints(block, tokens_), step.tokens, T_, 0);
  put(ints(block, positions_), step.positions, T_, 0);
  put(ints(block, types_), step.types, T_, 0);
  put(ints(block, starts_), step.starts, B_ + 1, static_cast<int32_t>(T));
  put(ints(block, rope_lengths_), step.rope_lengths, B_, 0);
  int32_t* sequences = ints(block, sequences_);
  std::fill(sequences + T, sequences + T_, -1);
  for (int64_t b = 0; b < B; ++b) {
    std::fill(sequences + step.starts[b], sequences + step.starts[b + 1], static_cast<int32_t>(b));
  }
  for (size_t g = 0; g < tables_.size(); ++g) {
    const Step::PageTable& table = step.page_tables[g];
    const size_t pages = std::min(table.stride, strides_[g]);
    int32_t* to = ints(block, tables_[g]);
    for (int64_t b = 0; b < B; ++b) {
      std::memcpy(to + b * strides_[g], table.pages.data() + b * table.stride,
                  pages * sizeof(int32_t));
    }
  }
}

void StepBlock::fillEmpty(std::byte* block) const {
  std::memset(block, 0, bytes_);
  std::fill_n(ints(block, sequences_), T_, -1);
}

StepView StepBlock::view(const std::byte* block, int64_t T, int64_t B) const {
  StepView view;
  view.tokens = ints(block, tokens_);
  view.positions = ints(block, positions_);
  view.types = ints(block, types_);
  view.sequences = ints(block, sequences_);
  view.starts = ints(block, starts_);
  view.rope_lengths = ints(block, rope_lengths_);
  view.T = T;
  view.B = B;
  view.longest = T - B + 1;
  return view;
}

PagesView StepBlock::pages(const std::byte* block, uint32_t group) const {
  return {ints(block, tables_[group]), strides_[group]};
}

const int32_t* StepBlock::liveTokens(const std::byte* block) const { return ints(block, live_); }

}  // namespace dcc::cuda
