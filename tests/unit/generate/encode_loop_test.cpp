#include "runtime/generate/encode_loop.h"

#include <gtest/gtest.h>

#include <map>

#include "../collectives/ranks.h"

namespace dcc::generate {
namespace {

// Its output: of every token [id, type, position], or of every text [sum of ids, tokens, 0], the
// columns cut over the ranks unevenly.
class Echo final : public StepRunner {
 public:
  Echo(bool per_token, uint32_t rank, uint32_t ranks, const Limits& limits)
      : per_token_(per_token), limits_(limits) {
    begins_ = {0, 1, 1};  // ranks may hold the same column
    ends_ = {1, 2, 3};
    begins_.resize(ranks);
    ends_.resize(ranks);
    ends_.back() = 3;
    begin_ = begins_[rank], end_ = ends_[rank];
    cut_ = ranks > 1;
  }

  Status run(const Step& step) override {
    EXPECT_EQ(step.entry, uint32_t(limits_.encode.index));
    EXPECT_LE(step.B(), limits_.encode.max_seqs);
    EXPECT_LE(step.T(), limits_.encode.max_tokens);
    EXPECT_TRUE(step.page_tables.empty());
    steps.push_back(step.T());
    values_.clear();
    rows_ = 0;
    for (int64_t b = 0; b < step.B(); ++b) {
      float sum = 0;
      for (int32_t t = step.starts[b]; t < step.starts[b + 1]; ++t) {
        EXPECT_EQ(step.positions[t], t - step.starts[b]);
        const float type = step.types.empty() ? 0 : float(step.types[t]);
        if (per_token_) add({float(step.tokens[t]), type, float(step.positions[t])});
        sum += float(step.tokens[t]);
      }
      if (!per_token_) add({sum, float(step.starts[b + 1] - step.starts[b]), 0});
    }
    return Status::success();
  }
  LogitsPart logits() const override {
    const auto columns = int64_t(end_ - begin_);
    LogitsPart part{values_.data(), rows_, columns, columns + 1, {}, {}};
    if (cut_) part.begins = begins_, part.ends = ends_;
    return part;
  }

  std::vector<int64_t> steps;

 private:
  void add(const std::vector<float>& row) {
    values_.insert(values_.end(), row.begin() + int64_t(begin_), row.begin() + int64_t(end_));
    values_.push_back(1e30f);  // between rows
    ++rows_;
  }

  bool per_token_, cut_ = false;
  Limits limits_;
  std::vector<uint64_t> begins_, ends_;
  uint64_t begin_ = 0, end_ = 3;
  std::vector<float> values_;
  int64_t rows_ = 0;
};

Limits limits() {
  Limits limits;
  limits.encode = {0, 12, 3};
  limits.max_seq_len = 10;
  limits.vocab_size = 100;
  limits.token_types = 2;
  return limits;
}

const std::vector<Text> kTexts = {
    {{5, 6, 7}, {}}, {{1}, {1}}, {{9, 9, 9, 9, 9, 9, 9, 9, 9, 9}, {}}, {{2, 3}, {0, 1}}, {{4}, {}},
    {{8}, {}},       {{7}, {}}};

// Rows of each text, and the steps' tokens.
std::map<size_t, std::vector<float>> encode(uint32_t ranks, bool per_token, uint32_t most,
                                            std::vector<int64_t>& steps) {
  std::map<size_t, std::vector<float>> rows;
  dcc::test::Ranks group(ranks);
  const auto results = group.run([&](Communicator& world) -> Status {
    Echo runner(per_token, world.rank(), ranks, limits());
    int alive = 0;
    EncodeLoop loop(limits(), world, runner, [&] { ++alive; });
    if (world.rank() != 0) return loop.follow();
    Status status = loop.lead(kTexts, most, [&](size_t text, size_t, std::span<const float> some) {
      rows[text].insert(rows[text].end(), some.begin(), some.end());
      return Status::success();
    });
    steps = runner.steps;
    EXPECT_EQ(alive, int(steps.size()));
    return status;
  });
  for (const Status& status : results) EXPECT_TRUE(status.ok());
  return rows;
}

TEST(EncodeLoop, GivesEveryTextItsRows) {
  for (const uint32_t ranks : {1u, 2u, 3u}) {
    for (const uint32_t most : {1u, 4u, 12u, 100u}) {
      std::vector<int64_t> steps;
      const auto of_texts = encode(ranks, false, most, steps);
      const auto of_tokens = encode(ranks, true, most, steps);
      ASSERT_EQ(of_texts.size(), kTexts.size());
      ASSERT_EQ(of_tokens.size(), kTexts.size());
      for (size_t i = 0; i < kTexts.size(); ++i) {
        float sum = 0;
        std::vector<float> tokens;
        for (size_t t = 0; t < kTexts[i].ids.size(); ++t) {
          sum += float(kTexts[i].ids[t]);
          const int32_t type = kTexts[i].types.empty() ? 0 : kTexts[i].types[t];
          tokens.insert(tokens.end(), {float(kTexts[i].ids[t]), float(type), float(t)});
        }
        EXPECT_EQ(of_texts.at(i), (std::vector<float>{sum, float(kTexts[i].ids.size()), 0}));
        EXPECT_EQ(of_tokens.at(i), tokens);
      }
    }
  }
}

TEST(EncodeLoop, FillsSteps) {
  std::vector<int64_t> steps;
  encode(1, false, 100, steps);  // at most 12 tokens, 3 texts
  EXPECT_EQ(steps, (std::vector<int64_t>{4, 12, 3}));
  encode(1, false, 4, steps);  // a text is never cut
  EXPECT_EQ(steps, (std::vector<int64_t>{4, 10, 4, 1}));
  encode(1, false, 1, steps);
  EXPECT_EQ(steps, (std::vector<int64_t>{3, 1, 10, 2, 1, 1, 1}));
}

}  // namespace
}  // namespace dcc::generate
