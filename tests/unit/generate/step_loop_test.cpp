// Batching, chunking and page accounting against a model whose right answer is known.
#include <map>
#include <random>

#include "runtime/generate/step_loop.h"
#include "tests/unit/collectives/ranks.h"
#include "tests/unit/generate/fake_model.h"

namespace dcc::generate {
namespace {

using test::expectedTokens;
using test::FakeModel;

Limits limits(uint32_t max_tokens, uint32_t max_seqs, uint64_t max_seq_len, uint64_t pages) {
  Limits limits;
  limits.prefill = {0, max_tokens, max_seqs};
  limits.decode = {1, max_seqs, max_seqs};
  limits.logits = {2, max_tokens, max_seqs};
  limits.max_seq_len = max_seq_len;
  limits.vocab_size = 37;
  limits.groups = {{"full", 4, pages, 0}};
  return limits;
}

class Collector : public Listener {
 public:
  void onStep(const PromptTokens& prompts) override { prompt_tokens.push_back(prompts); }
  bool onToken(uint32_t request, int32_t token) override {
    tokens[request].push_back(token);
    return tokens[request].size() < enough;
  }
  void onFinish(uint32_t request, Finish why) override {
    EXPECT_TRUE(finished.emplace(request, why).second) << "finished twice";
  }
  Status onLogits(uint32_t request, size_t position, std::span<const float> rows) override {
    std::vector<float>& all = logits[request];
    EXPECT_EQ(all.size(), position * 37) << "positions in order";
    all.insert(all.end(), rows.begin(), rows.end());
    return Status::success();
  }

  size_t enough = SIZE_MAX;
  std::map<uint32_t, std::vector<int32_t>> tokens;
  std::map<uint32_t, Finish> finished;
  std::map<uint32_t, std::vector<float>> logits;
  std::vector<PromptTokens> prompt_tokens;  // after each step
};

struct Counts {
  int64_t steps = 0, tokens = 0;
};

// Runs the requests to their end on `ranks` ranks.
Counts run(const Limits& limits, uint32_t ranks, StepKind kind,
           const std::vector<Request>& requests, Collector& collector) {
  Counts counts;
  dcc::test::Ranks group(ranks);
  group.mustRun([&](Communicator& world) -> Status {
    FakeModel model(limits, world.rank(), world.size());
    const auto sampler = greedySampler(world);
    StepLoop loop(limits, world, model, *sampler);
    if (world.rank() != 0) return loop.follow();
    DCC_ASSIGN(Scheduler scheduler, Scheduler::create(limits, kind));
    for (const Request& request : requests) {
      DCC_RETURN_IF_ERROR(scheduler.add(request, "prompt"));
    }
    DCC_RETURN_IF_ERROR(loop.lead(scheduler, collector));
    counts = {model.steps, model.tokens};
    return loop.dismiss();
  });
  return counts;
}

std::vector<int32_t> randomPrompt(std::mt19937& random, size_t longest) {
  std::vector<int32_t> prompt(1 + random() % longest);
  for (int32_t& id : prompt) id = static_cast<int32_t>(random() % 37);
  return prompt;
}

TEST(StepLoop, AnySplitGivesTheSameTokens) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const uint32_t max_tokens = 1 + random() % 20, max_seqs = 1 + random() % 6;
    Limits bounds = limits(max_tokens, max_seqs, 80, 20 + random() % 40);
    bounds.groups[0].tokens_per_page = 4 + random() % 5;
    if (round % 2 == 0) {
      const uint64_t window = 1 + random() % 12;
      bounds.groups.push_back({"window", 1 + uint32_t(random() % 5), 80, window});
    }
    std::vector<Request> requests(1 + random() % 9);
    for (Request& request : requests) {
      request.prompt = randomPrompt(random, 55);
      request.max_new_tokens = random() % 25;
    }
    Collector collector;
    run(bounds, 1 + random() % 3, StepKind::kGenerate, requests, collector);
    ASSERT_EQ(collector.finished.size(), requests.size());
    for (uint32_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(collector.finished[i], Finish::kLength);
      EXPECT_EQ(collector.tokens[i],
                expectedTokens(bounds, requests[i].prompt, requests[i].max_new_tokens))
          << "round " << round << ", request " << i;
    }
  }
}

TEST(StepLoop, StepsAreFullAndUnpadded) {
  const Limits bounds = limits(8, 4, 64, 64);
  std::vector<Request> requests(4);
  for (Request& request : requests) request = {{1, 2, 3, 4, 5, 6}, 5, {}};
  Collector collector;
  const Counts counts = run(bounds, 1, StepKind::kGenerate, requests, collector);
  // 24 prompt tokens and 4 * 4 written ones that are read again: not one token more.
  EXPECT_EQ(counts.tokens, 24 + 16);
  // 6+2 | 1+4+3 | 1+1+3+3 | 1+1+1+3 | 3 tokens of the last that is still writing, ...
  EXPECT_LE(counts.steps, 4 + 4);
  ASSERT_EQ(collector.prompt_tokens.size(), static_cast<size_t>(counts.steps));
  const uint64_t done[] = {8, 15, 21, 24, 24};
  for (size_t i = 0; i < collector.prompt_tokens.size(); ++i) {
    EXPECT_EQ(collector.prompt_tokens[i].done, done[std::min<size_t>(i, 4)]) << i;
    EXPECT_EQ(collector.prompt_tokens[i].all, 24u);
  }
}

TEST(StepLoop, WaitsForPagesInOrder) {
  // Pages for one sequence of 16 tokens at a time, or for two small ones.
  const Limits bounds = limits(8, 4, 16, 4);
  const std::vector<Request> requests = {
      {{1, 2, 3, 4, 5, 6, 7, 8}, 8, {}}, {{9, 8, 7}, 13, {}}, {{4, 4}, 5, {}}, {{6, 4}, 6, {}}};
  Collector collector;
  run(bounds, 2, StepKind::kGenerate, requests, collector);
  for (uint32_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(collector.tokens[i],
              expectedTokens(bounds, requests[i].prompt, requests[i].max_new_tokens));
  }
}

TEST(StepLoop, EndOfSequenceAndContextEndARequest) {
  const Limits bounds = limits(8, 4, 20, 100);
  const std::vector<int32_t> prompt = {3, 1, 4, 1, 5};
  const std::vector<int32_t> free = expectedTokens(bounds, prompt, 15);
  std::vector<int32_t> full(20, 7);
  const std::vector<Request> requests = {
      {prompt, 10, {99, free[3]}}, {prompt, 50, {}}, {full, 4, {}}, {prompt, 0, {}}};
  Collector collector;
  run(bounds, 2, StepKind::kGenerate, requests, collector);
  EXPECT_EQ(collector.finished[0], Finish::kEos);
  const size_t until = size_t(std::find(free.begin(), free.end(), free[3]) - free.begin()) + 1;
  EXPECT_EQ(collector.tokens[0], std::vector(free.begin(), free.begin() + ptrdiff_t(until)));
  EXPECT_EQ(collector.finished[1], Finish::kContext);
  EXPECT_EQ(collector.tokens[1], free);
  EXPECT_EQ(collector.finished[2], Finish::kContext);
  EXPECT_TRUE(collector.tokens[2].empty());
  EXPECT_EQ(collector.finished[3], Finish::kLength);
  EXPECT_TRUE(collector.tokens[3].empty());
}

TEST(StepLoop, ListenerCanEndARequest) {
  const Limits bounds = limits(8, 4, 64, 100);
  Collector collector;
  collector.enough = 3;
  run(bounds, 2, StepKind::kGenerate, {{{1, 2, 3}, 30, {}}, {{4, 5}, 2, {}}}, collector);
  EXPECT_EQ(collector.finished[0], Finish::kListener);
  EXPECT_EQ(collector.tokens[0], expectedTokens(bounds, {1, 2, 3}, 3));
  EXPECT_EQ(collector.finished[1], Finish::kLength);
}

TEST(StepLoop, AListenerThatStopsGivesUpAll) {
  class Stopping final : public Collector {
   public:
    bool stopped() const override { return tokens.size() == 2; }
  };
  const Limits bounds = limits(8, 2, 64, 100);
  Stopping collector;
  const std::vector<Request> requests(100, {{1, 2, 3}, 30, {}});
  const Counts counts = run(bounds, 2, StepKind::kGenerate, requests, collector);
  EXPECT_EQ(counts.steps, 1);
}

TEST(StepLoop, ScoringDeliversEveryPosition) {
  std::mt19937 random(2);
  for (const uint32_t max_tokens : {1, 5, 64}) {
    const Limits bounds = limits(max_tokens, 3, 64, 20);
    std::vector<Request> requests(5);
    for (Request& request : requests) request.prompt = randomPrompt(random, 40);
    Collector collector;
    run(bounds, 3, StepKind::kScore, requests, collector);
    for (uint32_t i = 0; i < requests.size(); ++i) {
      const std::vector<int32_t>& prompt = requests[i].prompt;
      EXPECT_EQ(collector.finished[i], Finish::kScored);
      ASSERT_EQ(collector.logits[i].size(), prompt.size() * 37);
      for (size_t t = 0; t < prompt.size(); ++t) {
        const uint64_t h = test::contextHash(bounds, std::span(prompt).first(t + 1),
                                             static_cast<int32_t>(prompt.size()));
        for (uint64_t id = 0; id < 37; ++id) {
          ASSERT_EQ(collector.logits[i][t * 37 + id], test::logit(h, id));
        }
      }
    }
  }
}

TEST(StepLoop, ASchedulerServesLaterRequestsToo) {
  const Limits bounds = limits(8, 2, 16, 4);
  dcc::test::Ranks group(2);
  group.mustRun([&](Communicator& world) -> Status {
    FakeModel model(bounds, world.rank(), world.size());
    const auto sampler = greedySampler(world);
    StepLoop loop(bounds, world, model, *sampler);
    if (world.rank() != 0) return loop.follow();
    DCC_ASSIGN(Scheduler scheduler, Scheduler::create(bounds, StepKind::kGenerate));
    Collector collector;
    for (uint32_t i = 0; i < 5; ++i) {  // each takes all pages
      DCC_ASSIGN(const uint32_t number, scheduler.add({{1, 2, int32_t(i)}, 13, {}}, "prompt"));
      EXPECT_EQ(number, i);
      DCC_RETURN_IF_ERROR(loop.lead(scheduler, collector));
      EXPECT_EQ(collector.tokens[i], expectedTokens(bounds, {1, 2, int32_t(i)}, 13));
    }
    return loop.dismiss();
  });
}

TEST(StepLoop, ARankThatFailsEndsAll) {
  class Failing final : public StepRunner {
   public:
    explicit Failing(bool fails) : fails_(fails) {}
    Status run(const Step&) override {
      return fails_ ? Status(runtimeError("model.layers.3: broken")) : Status::success();
    }
    LogitsPart logits() const override { return {values_, 1, 2, 2, begins_, ends_}; }

   private:
    bool fails_;
    float values_[2] = {};
    uint64_t begins_[3] = {0, 2, 4}, ends_[3] = {2, 4, 6};
  };
  const Limits bounds = limits(8, 2, 16, 4);
  dcc::test::Ranks group(3);
  const auto results = group.run([&](Communicator& world) -> Status {
    Failing model(world.rank() == 1);
    const auto sampler = greedySampler(world);
    StepLoop loop(bounds, world, model, *sampler);
    if (world.rank() != 0) return loop.follow();
    DCC_ASSIGN(Scheduler scheduler, Scheduler::create(bounds, StepKind::kGenerate));
    DCC_RETURN_IF_ERROR(scheduler.add({{1}, 4, {}}, "prompt"));
    Collector collector;
    return loop.lead(scheduler, collector);
  });
  EXPECT_EQ(results[1].error().message, "model.layers.3: broken");
  EXPECT_EQ(results[0].error().message, "rank 1: model.layers.3: broken");
  EXPECT_EQ(results[2].error().message, "rank 1: model.layers.3: broken");
}

// A rank that has drawn another token than the others is found out before the next step runs.
TEST(StepLoop, RanksOfAnotherMindAreFound) {
  class Wrong final : public Sampler {
   public:
    Wrong(Communicator& world, bool wrong) : right_(greedySampler(world)), wrong_(wrong) {}
    Status sampleRows(const LogitsPart& logits, std::span<const int32_t> rows,
                      std::span<int32_t> tokens) override {
      DCC_RETURN_IF_ERROR(right_->sampleRows(logits, rows, tokens));
      if (wrong_ && ++steps_ == 3) ++tokens[0];
      return Status::success();
    }

   private:
    std::unique_ptr<Sampler> right_;
    bool wrong_;
    int steps_ = 0;
  };
  const Limits bounds = limits(8, 2, 16, 4);
  for (const uint32_t odd : {0, 2}) {
    dcc::test::Ranks group(3);
    Collector collector;
    const auto results = group.run([&](Communicator& world) -> Status {
      FakeModel model(bounds, world.rank(), world.size());
      Wrong sampler(world, world.rank() == odd);
      StepLoop loop(bounds, world, model, sampler);
      if (world.rank() != 0) return loop.follow();
      DCC_ASSIGN(Scheduler scheduler, Scheduler::create(bounds, StepKind::kGenerate));
      DCC_RETURN_IF_ERROR(scheduler.add({{1, 2}, 10, {}}, "prompt"));
      return loop.lead(scheduler, collector);
    });
    for (const Status& status : results) {
      ASSERT_FALSE(status.ok());
      EXPECT_NE(status.error().message.find("with different steps or tokens"), std::string::npos)
          << status.error().message;
    }
    EXPECT_EQ(collector.tokens[0].size(), 3u);
  }
}

}  // namespace
}  // namespace dcc::generate
