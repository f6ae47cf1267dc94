// A model of a few lines: the logits of a position are a hash of the tokens it sees, which are kept
// in pages and read back through the page tables as an executor would. A page given to two
// sequences, a wrong table, position or window changes the tokens.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "runtime/generate/limits.h"
#include "runtime/generate/runner.h"

namespace dcc::generate::test {

inline uint64_t mix(uint64_t h) {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdull;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53ull;
  return h ^ (h >> 33);
}

// What a position sees: per page group the last `window` tokens, or all.
inline uint64_t contextHash(const Limits& limits, std::span<const int32_t> tokens,
                            int32_t rope_length) {
  uint64_t h = static_cast<uint64_t>(rope_length);
  for (const PageGroupLimits& group : limits.groups) {
    const size_t n = group.window == 0 ? tokens.size() : std::min(tokens.size(), group.window);
    for (const int32_t token : tokens.last(n)) h = mix(h + static_cast<uint64_t>(token) + 1);
  }
  return h;
}

// Few different values, so that the largest often ties.
inline float logit(uint64_t context, uint64_t id) { return float(mix(context ^ (id * 977)) % 11); }

inline int32_t bestToken(const Limits& limits, std::span<const int32_t> tokens,
                         int32_t rope_length) {
  const uint64_t h = contextHash(limits, tokens, rope_length);
  int32_t best = 0;
  for (uint64_t id = 1; id < limits.vocab_size; ++id) {
    if (logit(h, id) > logit(h, static_cast<uint64_t>(best))) best = static_cast<int32_t>(id);
  }
  return best;
}

// What generation should give.
inline std::vector<int32_t> expectedTokens(const Limits& limits, std::vector<int32_t> prompt,
                                           size_t count) {
  const size_t begin = prompt.size();
  for (size_t i = 0; i < count; ++i) {
    const auto length = static_cast<int32_t>(prompt.size());
    prompt.push_back(bestToken(limits, prompt, length));
  }
  return {prompt.begin() + static_cast<ptrdiff_t>(begin), prompt.end()};
}

class FakeModel final : public StepRunner {
 public:
  FakeModel(const Limits& limits, uint32_t rank, uint32_t ranks) : limits_(limits), rank_(rank) {
    for (const PageGroupLimits& group : limits.groups) {
      pools_.emplace_back(group.pages * group.tokens_per_page, -1);
    }
    // Uneven cuts; with one rank all columns are its own.
    for (uint32_t r = 0; r < ranks; ++r) {
      begins_.push_back(limits.vocab_size * r * (r + 1) / (ranks * (ranks + 1)));
      ends_.push_back(limits.vocab_size * (r + 1) * (r + 2) / (ranks * (ranks + 1)));
    }
  }

  Status run(const Step& step) override {
    checkShape(step);
    const bool every = static_cast<int32_t>(step.entry) == limits_.logits.index;
    const uint64_t own = ends_[rank_] - begins_[rank_];
    stride_ = static_cast<int64_t>(own) + 3;
    logits_.clear();
    for (int64_t b = 0; b < step.B(); ++b) {
      const int32_t first = step.starts[size_t(b)], last = step.starts[size_t(b) + 1];
      for (int32_t t = first; t < last; ++t) write(step, b, t);
      for (int32_t t = every ? first : last - 1; t < last; ++t) {
        const uint64_t h = readContext(step, b, t);
        for (uint64_t c = 0; c < own; ++c) logits_.push_back(logit(h, begins_[rank_] + c));
        logits_.insert(logits_.end(), 3, 1e30f);  // beyond the row's columns
      }
    }
    ++steps;
    tokens += step.T();
    return Status::success();
  }

  LogitsPart logits() const override {
    LogitsPart part;
    part.data = logits_.data();
    part.rows = static_cast<int64_t>(logits_.size()) / stride_;
    part.columns = stride_ - 3;
    part.row_stride = stride_;
    part.begins = begins_;
    part.ends = ends_;
    return part;
  }

  int64_t steps = 0, tokens = 0;

 private:
  void checkShape(const Step& step) {
    const bool decode = static_cast<int32_t>(step.entry) == limits_.decode.index;
    const EntryLimits& entry = decode                                         ? limits_.decode
                               : step.entry == uint32_t(limits_.logits.index) ? limits_.logits
                                                                              : limits_.prefill;
    EXPECT_EQ(static_cast<int32_t>(step.entry), entry.index);
    EXPECT_LE(step.T(), entry.max_tokens);
    EXPECT_LE(step.B(), entry.max_seqs);
    EXPECT_EQ(step.positions.size(), step.tokens.size());
    EXPECT_TRUE(!decode || step.T() == step.B());
    std::vector<std::set<int32_t>> used(limits_.groups.size());
    for (size_t b = 0; b < size_t(step.B()); ++b) {
      const int32_t first = step.starts[b], last = step.starts[b + 1];
      ASSERT_LT(first, last);
      for (int32_t t = first + 1; t < last; ++t) {
        EXPECT_EQ(step.positions[size_t(t)], step.positions[size_t(t) - 1] + 1);
      }
      const auto end = static_cast<uint64_t>(step.positions[size_t(last) - 1]) + 1;
      for (size_t g = 0; g < limits_.groups.size(); ++g) {
        const Step::PageTable& table = step.page_tables[g];
        ASSERT_EQ(table.pages.size(), table.stride * size_t(step.B()));
        std::set<int32_t> own;
        for (size_t k = 0; k * limits_.groups[g].tokens_per_page < end; ++k) {
          ASSERT_LT(k, table.stride);
          const int32_t page = table.pages[b * table.stride + k];
          ASSERT_GE(page, 0);
          ASSERT_LT(uint64_t(page), limits_.groups[g].pages);
          own.insert(page);
        }
        for (const int32_t page : own) {
          EXPECT_TRUE(used[g].insert(page).second) << "a page of two sequences";
        }
      }
    }
  }

  int32_t& slot(const Step& step, size_t g, int64_t b, int32_t position) {
    const auto per_page = static_cast<int32_t>(limits_.groups[g].tokens_per_page);
    const Step::PageTable& table = step.page_tables[g];
    const int32_t page = table.pages[size_t(b) * table.stride + size_t(position / per_page)];
    return pools_[g][size_t(page) * size_t(per_page) + size_t(position % per_page)];
  }

  void write(const Step& step, int64_t b, int32_t t) {
    for (size_t g = 0; g < pools_.size(); ++g) {
      slot(step, g, b, step.positions[size_t(t)]) = step.tokens[size_t(t)];
    }
  }

  uint64_t readContext(const Step& step, int64_t b, int32_t t) {
    const int32_t position = step.positions[size_t(t)];
    auto h = static_cast<uint64_t>(step.rope_lengths[size_t(b)]);
    for (size_t g = 0; g < pools_.size(); ++g) {
      const auto window = static_cast<int32_t>(limits_.groups[g].window);
      const int32_t first = window == 0 ? 0 : std::max(0, position + 1 - window);
      for (int32_t p = first; p <= position; ++p) {
        h = mix(h + static_cast<uint64_t>(slot(step, g, b, p)) + 1);
      }
    }
    return h;
  }

  Limits limits_;
  uint32_t rank_;
  std::vector<std::vector<int32_t>> pools_;
  std::vector<uint64_t> begins_, ends_;
  std::vector<float> logits_;
  int64_t stride_ = 1;
};

}  // namespace dcc::generate::test
