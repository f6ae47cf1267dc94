// Draws: thresholds against sorting, the distribution by chi-square, and the same tokens however
// the vocabulary is cut.
#include "runtime/generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "runtime/generate/cutoff.h"
#include "tests/unit/collectives/ranks.h"

namespace dcc::generate {
namespace {

std::vector<float> randomLogits(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(n);
  for (float& x : logits) x = normal(random);
  return logits;
}

// Columns [begins[r], ends[r]) of rank r; uneven where the ranks don't divide them.
struct Cuts {
  std::vector<uint64_t> begins, ends;
  Cuts(uint64_t columns, uint32_t ranks) {
    for (uint32_t r = 0; r < ranks; ++r) {
      begins.push_back(columns * r / ranks);
      ends.push_back(columns * (r + 1) / ranks);
    }
  }
};

// One row of `logits` as a step of one sequence that has `tokens`.
std::vector<int32_t> draw(const SamplingOptions& options, const std::vector<float>& logits,
                          std::vector<int32_t> prompt, int32_t first, size_t count,
                          uint32_t ranks) {
  const Cuts cuts(logits.size(), ranks);
  std::vector<int32_t> drawn(count);
  test::Ranks group(ranks);
  group.mustRun([&](Communicator& world) -> Status {
    const auto sampler = makeSampler(options, world);
    const uint32_t r = world.rank();
    const auto columns = static_cast<int64_t>(cuts.ends[r] - cuts.begins[r]);
    const LogitsPart part{
        logits.data() + cuts.begins[r], 1, columns, columns, cuts.begins, cuts.ends};
    StepData step;
    step.tokens = prompt;
    step.requests = {0};
    step.sampled = {0};
    for (size_t i = 0; i < count; ++i) {
      step.starts = {0, static_cast<int32_t>(step.tokens.size())};
      step.positions.assign(step.tokens.size(), first + static_cast<int32_t>(i));
      int32_t token = -1;
      DCC_RETURN_IF_ERROR(sampler->sample(part, step, {&token, 1}));
      if (r == 0) drawn[i] = token;
    }
    return Status::success();
  });
  return drawn;
}

TEST(Cutoff, FindsWhatSortingFinds) {
  for (const uint32_t ranks : {1u, 2u, 3u}) {
    std::vector<float> weights;
    for (const float x : randomLogits(501, 7)) weights.push_back(std::exp(x - 12));
    weights[3] = weights[400];  // a tie
    weights[5] = 0;
    std::vector<float> sorted = weights;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    const Cuts cuts(weights.size(), ranks);
    test::Ranks group(ranks);
    group.mustRun([&](Communicator& world) -> Status {
      const std::span own = std::span(weights).subspan(
          cuts.begins[world.rank()], cuts.ends[world.rank()] - cuts.begins[world.rank()]);
      Cutoff cutoff(&world);
      for (const size_t k : {1u, 2u, 50u, 500u, 501u}) {
        DCC_ASSIGN(const float t, cutoff.byCount(own, static_cast<double>(k)));
        EXPECT_EQ(t, sorted[k - 1]) << k;
      }
      DCC_ASSIGN(const float all, cutoff.byCount(own, 1000));
      EXPECT_EQ(all, 0);
      for (const size_t kept : {501u, 100u, 3u}) {
        const float floor = sorted[kept - 1];
        const double mass = std::accumulate(sorted.begin(), sorted.begin() + kept, 0.0);
        for (const double share : {1e-6, 0.1, 0.5, 0.9, 0.999}) {
          double sum = 0;
          size_t need = 0;
          while (sum < share * mass) sum += sorted[need++];
          DCC_ASSIGN(const float t, cutoff.byMass(own, share, floor));
          EXPECT_EQ(t, sorted[need - 1]) << share << " of the first " << kept;
        }
      }
      return Status::success();
    });
  }
}

TEST(Sampling, TenThousandDrawsFollowTheDistribution) {
  const std::vector<float> logits = {0, 1, 2, 3, -1, 0.5f, 2.5f, -2, 1.5f, 0.25f};
  const SamplingOptions options{.temperature = 0.7f, .seed = 5};
  const std::vector<int32_t> drawn = draw(options, logits, {1}, 0, 10'000, 1);
  std::vector<double> expected(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) expected[i] = std::exp(logits[i] / 0.7);
  const double sum = std::accumulate(expected.begin(), expected.end(), 0.0);
  double chi = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double want = 10'000 * expected[i] / sum;
    const auto got = static_cast<double>(std::count(drawn.begin(), drawn.end(), int32_t(i)));
    chi += (got - want) * (got - want) / want;
  }
  EXPECT_LT(chi, 27.88);  // 9 degrees of freedom, p = 0.001
  EXPECT_GT(chi, 0.97);   // nor suspiciously even, p = 0.9996
}

// What top-k, top-p and min-p leave, in the order transformers applies them.
std::vector<bool> kept(const std::vector<float>& logits, const SamplingOptions& o) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  const size_t k = o.top_k ? std::min<size_t>(o.top_k, order.size()) : order.size();
  const auto weight = [&](size_t i) {
    return std::exp((double{logits[order[i]]} - logits[order[0]]) / o.temperature);
  };
  double all = 0, sum = 0;
  for (size_t i = 0; i < k; ++i) all += weight(i);
  std::vector<bool> result(logits.size());
  for (size_t i = 0; i < k && sum < o.top_p * all; ++i) {
    sum += weight(i);
    if (weight(i) >= o.min_p) result[order[i]] = true;
  }
  return result;
}

TEST(Sampling, DrawsOnlyAndAllOfWhatIsKept) {
  const std::vector<float> logits = randomLogits(40, 3);
  for (const SamplingOptions& options :
       {SamplingOptions{.temperature = 2, .top_k = 5},
        SamplingOptions{.temperature = 2, .top_p = 0.6},
        SamplingOptions{.temperature = 3, .min_p = 0.2},
        SamplingOptions{.temperature = 3, .top_k = 12, .top_p = 0.8, .min_p = 0.1}}) {
    std::vector<bool> seen(logits.size());
    for (const int32_t token : draw(options, logits, {1}, 0, 4000, 2)) seen[token] = true;
    EXPECT_EQ(seen, kept(logits, options));
  }
}

TEST(Sampling, SameTokensHoweverTheVocabularyIsCut) {
  const std::vector<float> logits = randomLogits(1000, 9);
  const SamplingOptions options{.temperature = 1.3f,
                                .top_k = 300,
                                .top_p = 0.9,
                                .min_p = 1e-4,
                                .repetition_penalty = 1.2,
                                .seed = 77};
  const std::vector<int32_t> whole = draw(options, logits, {5, 17, 900}, 3, 200, 1);
  EXPECT_EQ(whole, draw(options, logits, {5, 17, 900}, 3, 200, 2));
  EXPECT_EQ(whole, draw(options, logits, {5, 17, 900}, 3, 200, 4));
  SamplingOptions other = options;
  other.seed = 78;
  EXPECT_NE(whole, draw(other, logits, {5, 17, 900}, 3, 200, 1));
}

TEST(Sampling, RepetitionPenaltyIsOfTokensSeen) {
  // 3 leads until it was seen; a negative logit is multiplied.
  const SamplingOptions options{.repetition_penalty = 2};
  EXPECT_EQ(draw(options, {1, 0, 2.5f, 4, -1}, {0}, 0, 1, 2)[0], 3);
  EXPECT_EQ(draw(options, {1, 0, 2.5f, 4, -1}, {3}, 0, 1, 2)[0], 2);
  EXPECT_EQ(draw(options, {-1, -1.5f, -9, -9, -9}, {0}, 0, 1, 2)[0], 1);
}

TEST(Sampling, NanIsAnErrorOnEveryRank) {
  test::Ranks group(2);
  const std::vector<uint64_t> begins = {0, 2}, ends = {2, 4};
  for (const Status& status : group.run([&](Communicator& world) -> Status {
         std::vector<float> mine = {1, world.rank() ? std::nanf("") : 2.0f};
         StepData step;
         step.tokens = step.positions = step.requests = step.sampled = {0};
         step.starts = {0, 1};
         int32_t token = 0;
         return makeSampler({.temperature = 1}, world)
             ->sample({mine.data(), 1, 2, 2, begins, ends}, step, {&token, 1});
       })) {
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find("NaN"), std::string::npos);
  }
}

}  // namespace
}  // namespace dcc::generate
