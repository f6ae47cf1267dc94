// Requests that cannot be served, pages, messages between ranks, and the largest of many floats.
#include <cmath>
#include <limits>

#include "runtime/generate/argmax.h"
#include "runtime/generate/sampler.h"
#include "runtime/generate/scheduler.h"
#include "tests/unit/collectives/ranks.h"

namespace dcc::generate {
namespace {

Limits limits(uint64_t max_seq_len, uint64_t pages) {
  Limits limits;
  limits.prefill = {0, 8, 4};
  limits.max_seq_len = max_seq_len;
  limits.vocab_size = 37;
  limits.groups = {{"full", 4, pages, 0}};
  return limits;
}

std::string refusal(const Limits& limits, Request request) {
  Scheduler scheduler = Scheduler::create(limits, StepKind::kGenerate).value();
  const auto added = scheduler.add(std::move(request), "prompt 2");
  if (added.ok()) return "";
  EXPECT_EQ(added.error().fault, Fault::kUser);
  return added.error().message;
}

TEST(Scheduler, RefusesWhatCannotBeServed) {
  EXPECT_EQ(refusal(limits(20, 100), {std::vector<int32_t>(21, 1), 4, {}}),
            "prompt 2: a prompt of 21 tokens is longer than max_seq_len 20");
  EXPECT_EQ(refusal(limits(20, 4), {std::vector<int32_t>(17, 1), 4, {}}),
            "prompt 2: a prompt of 17 tokens is longer than the KV cache's 16 tokens");
  EXPECT_EQ(refusal(limits(20, 100), {{}, 4, {}}), "prompt 2: no tokens; at least one is needed");
  EXPECT_EQ(refusal(limits(20, 100), {{1, 37}, 4, {}}),
            "prompt 2: token id 37; the vocabulary has 37 tokens, 0 to 36");
  EXPECT_EQ(refusal(limits(20, 100), {{1, -1}, 4, {}}),
            "prompt 2: token id -1; the vocabulary has 37 tokens, 0 to 36");
  EXPECT_EQ(refusal(limits(20, 100), {std::vector<int32_t>(20, 1), 4, {}}), "");
  EXPECT_FALSE(Scheduler::create(limits(20, 100), StepKind::kScore).ok()) << "no such entry";
}

TEST(PagePool, GivesAndTakes) {
  PagePool pool({{"full", 4, 10, 0}, {"window", 4, 6, 5}}, 3);
  EXPECT_EQ(pool.capacity(), 40u);
  auto a = pool.acquire(17);
  ASSERT_TRUE(a.has_value());
  EXPECT_EQ((*a)[0], (std::vector<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ((*a)[1].size(), 3u);  // 7 tokens touch at most 3 pages of 4
  auto b = pool.acquire(20);
  ASSERT_TRUE(b.has_value());
  EXPECT_FALSE(pool.acquire(1).has_value());
  EXPECT_EQ(pool.available(0), 0u);
  pool.release(*a);
  EXPECT_EQ(pool.available(0), 5u);
  EXPECT_EQ(pool.available(1), 3u);
  EXPECT_FALSE(pool.acquire(21).has_value());
  EXPECT_TRUE(pool.acquire(20).has_value());
}

TEST(PagePool, AWindowNeedsNoMoreThanItSpans) {
  EXPECT_EQ(PagePool({{"window", 4, 3, 5}}, 3).capacity(), UINT64_MAX);
  EXPECT_EQ(PagePool({{"window", 4, 2, 5}}, 3).capacity(), 8u);
}

TEST(PagePool, SequencesTakeNoMoreThanTheLongestThatRunAtOnce) {
  const PagePool pool({{"full", 4, 10, 0}, {"window", 4, 6, 5}}, 3);
  using Pages = std::vector<uint64_t>;
  EXPECT_EQ(pool.mostTaken({3, 17, 9}, 8), (Pages{1 + 5 + 3, 1 + 3 + 3 - 1}));  // 6 there are
  EXPECT_EQ(pool.mostTaken({3, 17, 9}, 1), (Pages{5, 3}));
  EXPECT_EQ(pool.mostTaken({UINT64_MAX - 3, UINT64_MAX - 3}, 2), (Pages{10, 6}));
  EXPECT_EQ(pool.mostTaken({}, 2), (Pages{0, 0}));
}

// A follower must not trust lengths it is told.
TEST(StepBroadcast, RefusesDamagedMessages) {
  const Limits bounds = limits(20, 100);
  const auto tell = [&](const std::vector<int32_t>& head) {
    std::vector<int32_t> block(1024);
    std::copy(head.begin(), head.end(), block.begin());
    dcc::test::Ranks ranks(2);
    const auto results = ranks.run([&](Communicator& world) -> Status {
      if (world.rank() == 0) return world.broadcast(block.data(), block.size() * 4, 0);
      StepBroadcast receive(bounds, world);
      StepData step;
      return receive(step);
    });
    return results[1].ok();
  };
  // words, kind, entry, T, B, sampled, types, stride, then tokens, positions, starts, rope,
  // requests, sampled, pages
  EXPECT_TRUE(tell({1024, 1, 0, 2, 1, 1, 0, 1, /**/ 5, 6, 0, 1, 0, 2, 2, 7, 0, 0}));
  EXPECT_TRUE(tell({1024, 0}));
  EXPECT_FALSE(tell({1024, 4}));
  EXPECT_FALSE(tell({1024, 1, 0, 2, 1, 1, 1, 1, 5, 6, 0, 1, 0, 2, 2, 7, 0, 0}));  // types of 1 of 2
  EXPECT_FALSE(tell({1023, 0}));
  EXPECT_FALSE(tell({-1, 1, 0, 2, 1, 1, 0, 1}));
  EXPECT_FALSE(tell({1 << 20, 1, 0, 2, 1, 1, 0, 1}));
  EXPECT_FALSE(tell({1024, 1, 0, 9, 1, 1, 0, 1, 0}));  // T
  EXPECT_FALSE(tell({1024, 1, 0, 2, 5, 1, 0, 1, 0}));  // B
  EXPECT_FALSE(tell({1024, 1, 0, -2, 1, 1, 0, 1, 0}));
  EXPECT_FALSE(tell({1024, 1, 0, 2, 1, 2, 0, 1, 5, 6, 0, 1, 0, 2, 2, 7, 0, 0}));  // sampled > B
  EXPECT_FALSE(tell({1024, 1, 0, 2, 1, 1, 0, 5000, 5, 6, 0, 1, 0, 2, 2, 7, 0}));  // stride
  EXPECT_FALSE(tell({1024, 1, 0, 2, 1, 1, 0, -1, 5, 6, 0, 1, 0, 2, 2, 7, 0}));
  EXPECT_FALSE(tell({1024, 1, 0, 2, 1, 1, 0, 1, 5, 6, 0, 1, 0, 3, 2, 7, 0, 0}));  // starts' end
  EXPECT_FALSE(
      tell({1024, 1, 0, 2, 2, 0, 0, 1, 5, 6, 0, 1, 0, 2, 2, 2, 2, 7, 8, 0}));     // an empty one
  EXPECT_FALSE(tell({1024, 1, 0, 2, 1, 1, 0, 1, 5, 6, 0, 1, 0, 2, 2, 7, 1, 0}));  // row 1 of 1
}

TEST(Argmax, FirstOfTheLargest) {
  for (const size_t n : {1, 2, 31, 32, 33, 100, 1000}) {
    for (size_t at = 0; at < n; at += 7) {
      std::vector<float> v(n, -5);
      v[at] = 3;
      EXPECT_EQ(argmax(v).index, int32_t(at));
      v[n - 1] = 3;
      EXPECT_EQ(argmax(v).index, int32_t(at));
      v[n / 2] = std::nanf("");
      EXPECT_TRUE(argmax(v).nan);
    }
  }
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(argmax(std::vector<float>(40, -infinity)).index, 0);
  EXPECT_EQ(argmax(std::vector<float>{1, infinity, infinity}).index, 1);
  EXPECT_EQ(argmax({}).index, -1);
}

TEST(Greedy, TiesOverRanksGoToTheLowestIdAndNanIsAnError) {
  const std::vector<std::vector<float>> values = {{1, 7, 2}, {}, {7, 0}};
  const std::vector<uint64_t> begins = {3, 3, 0}, ends = {6, 3, 2};
  const auto sample = [&](float extra, int32_t& token) {
    dcc::test::Ranks ranks(3);
    const auto results = ranks.run([&](Communicator& world) -> Status {
      std::vector<float> mine = values[world.rank()];
      if (world.rank() == 0) mine[0] = extra;
      const auto columns = static_cast<int64_t>(mine.size());
      const int32_t rows[] = {0};
      int32_t out[1];
      Status status = greedySampler(world)->sampleRows(
          {mine.data(), 1, columns, columns, begins, ends}, rows, out);
      if (status.ok() && world.rank() == 1) token = out[0];
      return status;
    });
    return results[0];
  };
  int32_t token = -1;
  EXPECT_TRUE(sample(1, token).ok());
  EXPECT_EQ(token, 0);
  EXPECT_TRUE(sample(8, token).ok());
  EXPECT_EQ(token, 3);
  const Status bad = sample(std::nanf(""), token);
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.error().message.find("NaN"), std::string::npos);
}

}  // namespace
}  // namespace dcc::generate
