// One to four ranks as threads run the example plan; the model in double precision says what must
// come out.
#include "runtime/executor/executor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <thread>

#include "allocation_count.h"
#include "example_model.h"
#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/weights/loader.h"
#include "test_communicator.h"
#include "tests/unit/plan/example_plan.h"

namespace dcc {
namespace {

using namespace plan::testing;
namespace fb = plan::fb;

// A step over sequences with a fixed page table: sequence s has pages 4s .. 4s + 3 in reverse.
class StepMaker {
 public:
  struct Part {
    int sequence;
    int first;  // position
    std::vector<int32_t> tokens;
  };
  StepMaker(uint32_t entry, const std::vector<Part>& parts) {
    step_.entry = entry;
    starts_ = {0};
    for (const Part& part : parts) {
      for (size_t i = 0; i < part.tokens.size(); ++i) {
        tokens_.push_back(part.tokens[i]);
        positions_.push_back(part.first + static_cast<int32_t>(i));
      }
      starts_.push_back(static_cast<int32_t>(tokens_.size()));
      rope_lengths_.push_back(part.first + static_cast<int32_t>(part.tokens.size()));
      for (int page = 3; page >= 0; --page) pages_.push_back(part.sequence * 4 + page);
    }
    table_ = {pages_, 4};
    step_.tokens = tokens_;
    step_.positions = positions_;
    step_.starts = starts_;
    step_.rope_lengths = rope_lengths_;
    step_.page_tables = {&table_, 1};
  }
  StepMaker(const StepMaker&) = delete;
  Step& operator*() { return step_; }
  std::vector<int32_t>& pages() { return pages_; }
  std::vector<int32_t>& positions() { return positions_; }

 private:
  std::vector<int32_t> tokens_, positions_, starts_, rope_lengths_, pages_;
  Step::PageTable table_;
  Step step_;
};

class ExecutorTest : public ::testing::Test {
 protected:
  ExecutorTest() : dir_(::testing::TempDir() + "executor_test_" + std::to_string(getpid())) {
    std::filesystem::create_directories(dir_);
    EXPECT_TRUE(writeExampleCheckpoint(dir_).ok());
  }
  ~ExecutorTest() override { std::filesystem::remove_all(dir_); }

  // Executors of all ranks.
  void start(uint32_t ranks, DType weights = DType::kF32, uint32_t threads = 1,
             DType cache = DType::kF32) {
    ExampleOptions options;
    options.ranks = ranks;
    options.weights = weights;
    options.checkpoint = dir_;
    auto plans = examplePlans(options);
    for (auto& plan : plans) plan.caches[0]->dtype = static_cast<fb::DType>(cache);
    group_ = std::make_unique<testing::TestGroup>(ranks);
    executors_.clear();
    const auto packed = plan::packAll(plans);
    for (uint32_t r = 0; r < ranks; ++r) {
      auto plan = plan::Plan::fromBytes(packed[r], "rank " + std::to_string(r));
      ASSERT_TRUE(plan.ok()) << plan.error().message;
      auto loader = WeightLoader::open(*plan);
      ASSERT_TRUE(loader.ok()) << loader.error().message;
      Communicator* axes[] = {ranks > 1 ? group_->rank(r) : nullptr};
      auto executor = Executor::create(*plan, makeCpuBackend({threads}), axes,
                                       [&](auto memory) { return loader->load(memory, 1); });
      ASSERT_TRUE(executor.ok()) << executor.error().message;
      executors_.push_back(std::move(*executor));
    }
  }

  std::vector<Status> runAll(const Step& step) {
    std::vector<Status> results(executors_.size());
    std::vector<std::thread> threads;
    for (size_t r = 0; r < executors_.size(); ++r) {
      threads.emplace_back([&, r] { results[r] = executors_[r]->run(step); });
    }
    for (auto& thread : threads) thread.join();
    return results;
  }

  // Whole rows of output 0, put together from the ranks' columns.
  std::vector<std::vector<float>> rows(const Step& step) {
    for (const Status& status : runAll(step)) {
      EXPECT_TRUE(status.ok()) << status.error().message;
    }
    std::vector<std::vector<float>> whole;
    for (const auto& executor : executors_) {
      EXPECT_EQ(executor->outputCount(), 1u);
      const OutputView view = executor->output(0);
      EXPECT_EQ(view.info->name()->str(), "logits");
      whole.resize(view.rows, std::vector<float>(kVocab, NAN));
      const auto* begins = view.info->begins();
      const uint64_t first = view.info->axis() >= 0 ? begins->Get(executor->plan()->rank()) : 0;
      for (int64_t r = 0; r < view.rows; ++r) {
        std::copy_n(view.row(r).data(), view.cols, whole[r].data() + first);
      }
    }
    return whole;
  }

  void expectLogits(const std::vector<float>& got, const std::vector<double>& want) {
    for (size_t i = 0; i < kVocab; ++i) EXPECT_NEAR(got[i], want[i], 2e-6) << "column " << i;
  }

  const std::vector<int32_t> first_prompt_ = {3, 15, 0, 7, 7, 1}, second_prompt_ = {9, 2, 4};
  std::string dir_;
  cpu::testing::ExampleModel model_;
  std::unique_ptr<testing::TestGroup> group_;
  std::vector<std::unique_ptr<Executor>> executors_;
};

std::vector<int32_t> part(const std::vector<int32_t>& v, size_t first, size_t count) {
  return {v.begin() + first, v.begin() + first + count};
}

// Both prompts in pieces, together and alone, then single tokens, at every degree: KV heads cut,
// and replicated at 4.
TEST_F(ExecutorTest, PrefillAndDecodeMatchTheModel) {
  const auto first = model_.logits(first_prompt_), second = model_.logits(second_prompt_);
  for (uint32_t ranks : {1, 2, 4}) {
    start(ranks);
    auto out = rows(*StepMaker(
        kPrefill, {{0, 0, part(first_prompt_, 0, 3)}, {1, 0, part(second_prompt_, 0, 1)}}));
    ASSERT_EQ(out.size(), 2u);
    expectLogits(out[0], first[2]);
    expectLogits(out[1], second[0]);
    out = rows(*StepMaker(kPrefill, {{0, 3, part(first_prompt_, 3, 2)}}));
    expectLogits(out[0], first[4]);
    out = rows(*StepMaker(kDecode,
                          {{1, 1, part(second_prompt_, 1, 1)}, {0, 5, part(first_prompt_, 5, 1)}}));
    ASSERT_EQ(out.size(), 2u);
    expectLogits(out[0], second[1]);
    expectLogits(out[1], first[5]);
    out = rows(*StepMaker(kDecode, {{1, 2, part(second_prompt_, 2, 1)}}));
    expectLogits(out[0], second[2]);
  }
}

TEST_F(ExecutorTest, LogitsOfEveryPosition) {
  const auto first = model_.logits(first_prompt_);
  for (uint32_t ranks : {1, 2, 4}) {
    start(ranks, DType::kF32, 2);
    const auto out =
        rows(*StepMaker(kLogits, {{0, 0, first_prompt_}, {1, 0, part(second_prompt_, 0, 2)}}));
    ASSERT_EQ(out.size(), 8u);
    for (size_t t = 0; t < 6; ++t) expectLogits(out[t], first[t]);
    expectLogits(out[7], model_.logits(second_prompt_)[1]);
  }
}

// However a prompt is cut, the same bits.
TEST_F(ExecutorTest, ChunksGiveTheSameBits) {
  start(2);
  const auto whole = rows(*StepMaker(kLogits, {{0, 0, first_prompt_}}));
  for (size_t cut = 1; cut < 6; ++cut) {
    start(2);
    auto out = rows(*StepMaker(kLogits, {{1, 0, part(first_prompt_, 0, cut)}, {0, 0, {5, 6}}}));
    for (size_t t = 0; t < cut; ++t) EXPECT_EQ(out[t], whole[t]);
    out = rows(*StepMaker(
        kLogits, {{0, 2, {5}}, {1, static_cast<int>(cut), part(first_prompt_, cut, 6 - cut)}}));
    for (size_t t = cut; t < 6; ++t) EXPECT_EQ(out[1 + t - cut], whole[t]);
  }
}

TEST_F(ExecutorTest, NarrowWeights) {
  const auto want = model_.logits(first_prompt_);
  for (DType type : {DType::kBF16, DType::kF16}) {
    start(2, type);
    const auto out = rows(*StepMaker(kLogits, {{0, 0, first_prompt_}}));
    for (size_t t = 0; t < 6; ++t) {
      for (size_t i = 0; i < kVocab; ++i) {
        EXPECT_NEAR(out[t][i], want[t][i], type == DType::kBF16 ? 0.05 : 0.005);
      }
    }
  }
}

TEST_F(ExecutorTest, NarrowCaches) {
  const auto want = model_.logits(first_prompt_);
  for (DType type : {DType::kBF16, DType::kF16}) {
    start(2, DType::kF32, 1, type);
    rows(*StepMaker(kPrefill, {{0, 0, part(first_prompt_, 0, 5)}}));
    const auto out = rows(*StepMaker(kDecode, {{0, 5, part(first_prompt_, 5, 1)}}));
    double worst = 0;
    for (size_t i = 0; i < kVocab; ++i) worst = std::max(worst, std::abs(out[0][i] - want[5][i]));
    EXPECT_LT(worst, type == DType::kBF16 ? 0.05 : 0.005);
    EXPECT_GT(worst, 1e-6) << "the cache was f32 all the same";
  }
}

TEST_F(ExecutorTest, StepTakesNoMemory) {
  start(1, DType::kF32, 2);
  StepMaker step(kPrefill, {{0, 0, first_prompt_}});
  ASSERT_TRUE(executors_[0]->run(*step).ok());
  const int64_t before = cpu::testing::allocations();
  const Status status = executors_[0]->run(*step);
  EXPECT_EQ(cpu::testing::allocations(), before);
  EXPECT_TRUE(status.ok());
}

TEST_F(ExecutorTest, FailedCollectiveIsNamed) {
  start(2);
  Whereabouts here;
  executors_[0]->publish(here);
  EXPECT_EQ(here.read(), (Where{kBetweenSteps, 0, 0, 0}));
  group_->failAt(1);  // after the embedding's
  for (const Status& status : runAll(*StepMaker(kDecode, {{0, 0, {1}}}))) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().fault, Fault::kRuntime);
    EXPECT_EQ(status.error().message,
              "entry 'decode', instruction 9 (model.layers.0.self_attn.o_proj): rank 1 is gone");
  }
  EXPECT_EQ(here.read(), (Where{kInEntry + kDecode, 9, 0, 0}));
  EXPECT_EQ(executors_[0]->entry(), kDecode);
  // The next step works: nothing is left behind.
  group_->failAt(-1);
  expectLogits(rows(*StepMaker(kDecode, {{0, 0, {1}}}))[0], model_.logits(std::vector{1})[0]);
  EXPECT_EQ(here.read().place, kBetweenSteps);
  EXPECT_EQ(here.read().step, 2u);
}

TEST_F(ExecutorTest, RefusesStepsOutsideThePlan) {
  start(1);
  const auto error = [&](const Step& step) {
    const Status status = executors_[0]->run(step);
    EXPECT_FALSE(status.ok());
    return status.error().message;
  };
  StepMaker good(kPrefill, {{0, 0, first_prompt_}});
  Step step = *good;
  step.entry = 3;
  EXPECT_EQ(error(step), "step: entry 3 of 3");
  step = *good;
  step.entry = kDecode;
  EXPECT_EQ(error(step), "step: T = 6; entry 'decode' takes up to 2");
  EXPECT_EQ(error(*StepMaker(kPrefill, {{0, 0, std::vector<int32_t>(9, 1)}})),
            "step: 9 tokens of 1 sequences; the plan takes 1 to 8 tokens of 1 to 2 sequences");
  EXPECT_EQ(error(*StepMaker(kPrefill, {{0, 0, {}}, {1, 0, {1}}})),
            "step: sequence 0 has no tokens");
  EXPECT_EQ(error(*StepMaker(kPrefill, {{0, 0, {1, 16}}})),
            "step: token 16; the vocabulary has 16");
  EXPECT_EQ(error(*StepMaker(kPrefill, {{0, 0, {-1}}})), "step: token -1; the vocabulary has 16");
  EXPECT_EQ(error(*StepMaker(kPrefill, {{0, 32, {1}}})),
            "step: position 32 of token 0; positions follow each other, below 32");
  EXPECT_EQ(error(*StepMaker(kPrefill, {{0, 15, {1, 2}}})),
            "step: sequence 0 has no page for position 16");
  EXPECT_EQ(error(*StepMaker(kPrefill, {{2, 0, {1}}})),
            "step: page 11 of sequence 0; the pool has 8");
  step = *good;
  step.page_tables = {};
  EXPECT_EQ(error(step), "step: 0 page tables; the plan has 1 page groups");
  good.positions()[2] = 7;
  EXPECT_EQ(error(*good), "step: position 7 of token 2; positions follow each other, below 32");
}

TEST_F(ExecutorTest, CommunicatorsMustFitTheMesh) {
  ExampleOptions options;
  options.checkpoint = dir_;
  auto plans = examplePlans(options);
  const auto plan = plan::Plan::fromBytes(plan::packAll(plans)[0], "rank 0").value();
  const auto create = [&](std::span<Communicator* const> axes) {
    return Executor::create(plan, makeCpuBackend({1}), axes, [](auto) { return Status::success(); })
        .error()
        .message;
  };
  EXPECT_EQ(create({}),
            "executor: 0 communicators for a mesh of 1 axes; one per axis, null where its size is "
            "1 or nothing goes over it");
  Communicator* none[] = {nullptr};
  EXPECT_EQ(create(none),
            "executor: the communicator of axis 'tp' has 1 ranks; the plan's mesh has 2");
}

// Everything that is missing, in one message.
TEST_F(ExecutorTest, ListsWhatTheBackendLacks) {
  ExampleOptions options;
  options.checkpoint = dir_;
  auto plans = examplePlans(options);
  for (auto& plan : plans) {
    for (auto& entry : plan.entries) {
      for (auto& instruction : entry->instructions) {
        if (auto* collective = instruction->body.AsCollective()) {
          if (collective->kind == fb::CollectiveKind::all_reduce) {
            collective->reduction = fb::Reduction::max;
          }
        } else if (auto* kernel = instruction->body.AsKernel()) {
          if (kernel->kind == fb::KernelKind::gated_activation)
            kernel->attrs[0] = {fb::AttrKey::function, 9, 0};
        }
      }
    }
  }
  // The verifier would refuse some of it first; a later one may not.
  const auto bytes = plan::packAll(plans)[0];
  const Status status = makeCpuBackend({1})->check(*fb::GetPlan(bytes.data()));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(
      status.error().message,
      "the cpu backend of this build lacks collective all_reduce of max (model.embed_tokens), "
      "activation function number 9 (model.layers.0.mlp); recompile the model for it, or use "
      "a newer drun");
}

}  // namespace
}  // namespace dcc
