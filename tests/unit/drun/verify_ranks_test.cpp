// Four ranks as threads write tokens, and one bit of one rank's result of one collective is wrong:
// it is found in that step, named, and no token of the step goes out. A hundred times.
#include "tools/drun/verify_ranks.h"

#include <random>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/generate/plan_runner.h"
#include "runtime/generate/step_loop.h"
#include "runtime/plan/access.h"
#include "runtime/weights/loader.h"
#include "tests/unit/collectives/ranks.h"
#include "tests/unit/plan/example_plan.h"
#include "tests/unit/temporary_directory.h"
#include "tools/drun/inject.h"

namespace dcc::drun {
namespace {

constexpr uint32_t kRanks = 4, kCollectives = 3, kSteps = 9;

class Counter final : public generate::Listener {
 public:
  bool onToken(uint32_t, int32_t) override {
    ++tokens;
    return true;
  }
  void onFinish(uint32_t, generate::Finish) override {}
  uint32_t tokens = 0;
};

class VerifyRanks : public ::testing::Test {
 protected:
  VerifyRanks() {
    EXPECT_TRUE(plan::testing::writeExampleCheckpoint(dir_.path()).ok());
    plan::testing::ExampleOptions options;
    options.ranks = kRanks;
    options.checkpoint = dir_.path();
    auto tables = plan::testing::examplePlans(options);
    for (auto& bytes : plan::packAll(tables)) {
      plans_.push_back(plan::Plan::fromBytes(std::move(bytes), "example").value());
    }
  }

  // A prompt and kSteps tokens in as many steps; what each rank returns.
  std::vector<Status> generate(const std::optional<Injection>& injection, uint32_t& tokens,
                               test::Transport transport) {
    test::Ranks group(transport, kRanks);
    return group.run([&](Communicator& world) -> Status {
      const plan::Plan& plan = plans_[world.rank()];
      DCC_ASSIGN(WeightLoader loader, WeightLoader::open(plan));
      const auto load = [&](auto weights) { return loader.load(weights, 1); };
      std::vector<Communicator*> axes = {&world};
      DCC_ASSIGN(auto executor, Executor::create(plan, makeCpuBackend({1}), axes, load));
      Injector injector(injection, world.rank());
      DCC_ASSIGN(Observer* const fault, injector.watch(*plan));
      if (fault != nullptr) executor->watch(fault);
      generate::PlanRunner runner(*executor);
      VerifyingRunner verifying(*executor, runner, world, {0, 1, 2, 3});
      const auto sampler = generate::greedySampler(world);
      const generate::Limits limits = generate::limitsOf(plan);
      generate::StepLoop loop(limits, world, verifying, *sampler);
      if (world.rank() != 0) return loop.follow();
      DCC_ASSIGN(auto scheduler,
                 generate::Scheduler::create(limits, generate::StepKind::kGenerate));
      DCC_RETURN_IF_ERROR(scheduler.add({{3, 1, 4}, kSteps, {}}, "prompt"));
      Counter counter;
      const Status led = loop.lead(scheduler, counter);
      tokens = counter.tokens;
      DCC_RETURN_IF_ERROR(led);
      return loop.dismiss();
    });
  }

  // "entry 'decode', instruction 9 (model.layers.0.self_attn.o_proj)" of the n-th collective.
  std::string nameOf(uint32_t entry, uint32_t collective) const {
    const auto instructions = plan::rows(plans_[0]->entries()->Get(entry)->instructions());
    for (uint32_t i = 0; i < instructions.size(); ++i) {
      if (instructions[i]->body_as_Collective() == nullptr || collective-- > 0) continue;
      return "entry '" + plans_[0]->entries()->Get(entry)->name()->str() + "', instruction " +
             std::to_string(i) + " (" + instructions[i]->module_()->str() + ")";
    }
    return "none";
  }

  testing::TemporaryDirectory dir_;
  std::vector<plan::Plan> plans_;
};

TEST_F(VerifyRanks, EqualRanksGoOn) {
  uint32_t tokens = 0;
  for (const Status& status : generate({}, tokens, test::Transport::kSharedMemory)) {
    EXPECT_TRUE(status.ok()) << status.error().message;
  }
  EXPECT_EQ(tokens, kSteps);
}

TEST_F(VerifyRanks, AFlippedBitIsNamedInItsStep) {
  std::mt19937 random(8);
  for (uint32_t i = 0; i < 100; ++i) {
    const uint32_t step = random() % kSteps;
    Injection flip;
    flip.act = Injection::Act::kFlip;
    flip.rank = random() % kRanks;
    flip.at = step == 0 ? "prefill" : "decode";
    flip.step = step == 0 ? 0 : step - 1;
    flip.collective = random() % kCollectives;
    flip.bit = random();
    uint32_t tokens = 0;
    const auto transport = i % 4 == 0 ? test::Transport::kTcp : test::Transport::kSharedMemory;
    const std::vector<Status> results = generate(flip, tokens, transport);
    const std::string said =
        "step " + std::to_string(step) + ", " +
        nameOf(step == 0 ? plan::testing::kPrefill : plan::testing::kDecode, flip.collective) +
        ": result of all_reduce differs from the other ranks'; one build on "
        "all hosts and memory without faults are right";
    for (uint32_t r = 0; r < kRanks; ++r) {
      ASSERT_FALSE(results[r].ok()) << i;
      const std::string heard =
          r == flip.rank ? said : "rank " + std::to_string(flip.rank) + ": " + said;
      EXPECT_EQ(results[r].error().message, heard) << i;
      EXPECT_EQ(results[r].error().fault, Fault::kRuntime);
    }
    EXPECT_EQ(tokens, step) << "tokens of the steps before, and no other";
  }
}

TEST(Dissenters, AreThoseThatAreFewer) {
  using Ranks = std::vector<uint32_t>;
  EXPECT_EQ(dissenters({5, 5, 5}), Ranks());
  EXPECT_EQ(dissenters({5, 7, 5}), Ranks{1});
  EXPECT_EQ(dissenters({7, 5, 5, 9}), (Ranks{0, 3}));
  EXPECT_EQ(dissenters({7, 5}), Ranks{1}) << "as many: who does not agree with the first";
  EXPECT_EQ(dissenters({7}), Ranks());
}

}  // namespace
}  // namespace dcc::drun
