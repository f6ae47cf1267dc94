// The whole runtime in one process: ranks as threads run the example plan over shared memory. The
// same prompts give the same tokens at every degree, alone and batched, in chunks of any size, and
// the logits of a rank's own columns are those that are gathered.
#include "runtime/generate/plan_runner.h"

#include <cmath>
#include <map>
#include <random>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/generate/step_loop.h"
#include "runtime/weights/loader.h"
#include "tests/unit/collectives/ranks.h"
#include "tests/unit/plan/example_plan.h"
#include "tests/unit/temporary_directory.h"

namespace dcc::generate {
namespace {

using plan::testing::kVocab;

class Collector final : public Listener {
 public:
  bool onToken(uint32_t request, int32_t token) override {
    tokens[request].push_back(token);
    return true;
  }
  void onFinish(uint32_t, Finish) override {}
  Status onLogits(uint32_t request, size_t, std::span<const float> rows) override {
    logits[request].insert(logits[request].end(), rows.begin(), rows.end());
    return Status::success();
  }

  std::map<uint32_t, std::vector<int32_t>> tokens;
  std::map<uint32_t, std::vector<float>> logits;
};

class PlanRunnerTest : public ::testing::Test {
 protected:
  PlanRunnerTest() { EXPECT_TRUE(plan::testing::writeExampleCheckpoint(dir_.path()).ok()); }

  // `max_tokens` narrows the steps that the scheduler makes.
  Collector run(uint32_t ranks, StepKind kind, const std::vector<Request>& requests,
                uint32_t max_tokens = UINT32_MAX) {
    plan::testing::ExampleOptions options;
    options.ranks = ranks;
    options.checkpoint = dir_.path();
    auto tables = plan::testing::examplePlans(options);
    const auto packed = plan::packAll(tables);
    Collector collector;
    dcc::test::Ranks group(ranks);
    group.mustRun([&](Communicator& world) -> Status {
      DCC_ASSIGN(plan::Plan plan, plan::Plan::fromBytes(packed[world.rank()], "example"));
      const Limits limits = limitsOf(plan);
      DCC_ASSIGN(WeightLoader loader, WeightLoader::open(plan));
      const auto load = [&](auto weights) { return loader.load(weights, 1); };
      std::vector<Communicator*> axes = {ranks == 1 ? nullptr : &world};
      DCC_ASSIGN(auto executor, Executor::create(std::move(plan), makeCpuBackend({2}), axes, load));
      PlanRunner runner(*executor);
      const auto sampler = greedySampler(world);
      StepLoop loop(limits, world, runner, *sampler);
      if (world.rank() != 0) return loop.follow();
      Limits narrow = limits;
      for (EntryLimits* entry : {&narrow.prefill, &narrow.logits}) {
        entry->max_tokens = std::min(entry->max_tokens, max_tokens);
      }
      DCC_ASSIGN(Scheduler scheduler, Scheduler::create(narrow, kind));
      for (const Request& request : requests) {
        DCC_RETURN_IF_ERROR(scheduler.add(request, "prompt"));
      }
      DCC_RETURN_IF_ERROR(loop.lead(scheduler, collector));
      return loop.dismiss();
    });
    return collector;
  }

  testing::TemporaryDirectory dir_;
};

std::vector<Request> requests() {
  std::mt19937 random(5);
  std::vector<Request> requests(5);
  for (Request& request : requests) {
    request.prompt.resize(1 + random() % 14);
    for (int32_t& id : request.prompt) id = static_cast<int32_t>(random() % kVocab);
    request.max_new_tokens = 1 + random() % 12;
  }
  return requests;
}

TEST_F(PlanRunnerTest, SameTokensAtEveryDegreeAndSplit) {
  const std::vector<Request> all = requests();
  const Collector reference = run(1, StepKind::kGenerate, all);
  for (uint32_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(reference.tokens.at(i).size(), all[i].max_new_tokens);
    EXPECT_EQ(run(1, StepKind::kGenerate, {all[i]}).tokens.at(0), reference.tokens.at(i));
  }
  for (const uint32_t ranks : {1, 2, 4}) {
    for (const uint32_t max_tokens : {1, 3, 8}) {
      EXPECT_EQ(run(ranks, StepKind::kGenerate, all, max_tokens).tokens, reference.tokens)
          << ranks << " ranks, steps of " << max_tokens;
    }
  }
}

TEST_F(PlanRunnerTest, SameLogitsAtEveryDegreeAndSplit) {
  const std::vector<Request> all = requests();
  const Collector reference = run(1, StepKind::kScore, all);
  for (const uint32_t ranks : {1, 2, 4}) {
    for (const uint32_t max_tokens : {1, 8}) {
      const Collector other = run(ranks, StepKind::kScore, all, max_tokens);
      for (uint32_t i = 0; i < all.size(); ++i) {
        const std::vector<float>&a = reference.logits.at(i), &b = other.logits.at(i);
        ASSERT_EQ(a.size(), all[i].prompt.size() * kVocab);
        ASSERT_EQ(b.size(), a.size());
        for (size_t k = 0; k < a.size(); ++k) ASSERT_NEAR(a[k], b[k], 1e-5) << i << ", " << k;
      }
    }
  }
}

// The same run twice gives the same bits: sums over ranks have an order.
TEST_F(PlanRunnerTest, RunsRepeatBitByBit) {
  const std::vector<Request> all = requests();
  EXPECT_EQ(run(4, StepKind::kScore, all).logits, run(4, StepKind::kScore, all).logits);
}

}  // namespace
}  // namespace dcc::generate
