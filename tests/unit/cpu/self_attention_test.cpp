// Attention over whole sequences of the step, without a cache.
#include <algorithm>

#include "cpu_test_support.h"
#include "runtime/backends/cpu/instruction_set.h"
#include "runtime/plan/workspace.h"

namespace dcc::cpu {
namespace {

using testing::TestMatrix;
using SelfAttention = testing::PerSetting;

struct Shape {
  int64_t heads, kv_heads, k_dim, v_dim;
  float softcap = 0;
  // Query head h reads KV head (first + h) / group; group 0: as many for each.
  int64_t first = 0, group = 0;

  int64_t kvHead(int64_t head) const {
    return group > 0 ? (first + head) / group : head / (heads / kv_heads);
  }
};

// Sequences of these lengths, one after the other.
struct Texts {
  Texts(const Shape& s, const std::vector<int32_t>& lengths, DType type, uint32_t seed = 1)
      : shape(s) {
    for (const int32_t length : lengths) starts.push_back(starts.back() + length);
    const int64_t rows = starts.back();
    q = TestMatrix(rows, s.heads * s.k_dim, type, 3).random(seed, 2);
    k = TestMatrix(rows, s.kv_heads * s.k_dim, type, 5).random(seed + 1, 2);
    v = TestMatrix(rows, s.kv_heads * s.v_dim, type, 1).random(seed + 2);
  }

  float scale() const { return 0.7f / std::sqrt(static_cast<float>(shape.k_dim)); }

  TestMatrix run(ThreadPool& pool, DType type = DType::kF32) const {
    TestMatrix out(starts.back(), shape.heads * shape.v_dim, type, 4);
    const int64_t group = shape.group > 0 ? shape.group : shape.heads / shape.kv_heads;
    testing::Scratch scratch(plan::attentionWorkspaceBytes(
        {shape.k_dim, shape.v_dim, std::min(group, shape.heads), 0}, pool.threads()));
    selfAttention(pool, q.view(), k.view(), v.view(), starts,
                  {.head_dim = shape.k_dim,
                   .scale = scale(),
                   .softcap = shape.softcap,
                   .first = shape.first,
                   .group = shape.group},
                  out.view(), scratch.data());
    EXPECT_TRUE(out.guardsIntact());
    return out;
  }

  // By definition: how much of each token of its sequence a token takes, in one head.
  std::vector<double> weights(int64_t row, int64_t h) const {
    const int64_t g = shape.kvHead(h);
    const auto next = std::upper_bound(starts.begin(), starts.end(), row);
    std::vector<double> scores;
    for (int64_t j = *(next - 1); j < *next; ++j) {
      double score = 0;
      for (int64_t i = 0; i < shape.k_dim; ++i) {
        score += q.at(row, h * shape.k_dim + i) * k.at(j, g * shape.k_dim + i);
      }
      score *= scale();
      scores.push_back(shape.softcap > 0 ? shape.softcap * std::tanh(score / shape.softcap)
                                         : score);
    }
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double& score : scores) sum += score = std::exp(score - largest);
    for (double& score : scores) score /= sum;
    return scores;
  }

  TestMatrix expected() const {
    TestMatrix out(starts.back(), shape.heads * shape.v_dim);
    for (int64_t row = 0; row < starts.back(); ++row) {
      const int64_t first = *(std::upper_bound(starts.begin(), starts.end(), row) - 1);
      for (int64_t h = 0; h < shape.heads; ++h) {
        const std::vector<double> p = weights(row, h);
        for (int64_t c = 0; c < shape.v_dim; ++c) {
          double value = 0;
          for (size_t j = 0; j < p.size(); ++j) {
            value +=
                p[j] * v.at(first + static_cast<int64_t>(j), shape.kvHead(h) * shape.v_dim + c);
          }
          out.set(row, h * shape.v_dim + c, static_cast<float>(value));
        }
      }
    }
    return out;
  }

  Shape shape;
  std::vector<int32_t> starts = {0};
  TestMatrix q{1, 1}, k{1, 1}, v{1, 1};
};

TEST_P(SelfAttention, EveryTokenSeesItsWholeSequence) {
  const Shape shapes[] = {
      {4, 4, 16, 16}, {6, 2, 5, 7}, {1, 1, 64, 64}, {3, 3, 24, 8, 2}, {3, 2, 8, 8, 0, 1, 3}};
  for (const Shape& shape : shapes) {
    for (const DType type : testing::kFloats) {
      const Texts texts(shape, {3, 1, 70, 17, 200}, type);
      const TestMatrix expected = texts.expected();
      // Weights are multiplied with bf16 values as bf16 where there is an instruction for that and
      // rows are whole vectors: each may be off by a rounding, and values are at most 1.
      const bool narrow = type == DType::kBF16 && bf16Products() != Bf16Products::kWidened &&
                          shape.k_dim % 32 == 0 && shape.v_dim % 32 == 0;
      const double rounding = narrow ? testing::roundoff(type) / 2 : 0;
      testing::expectNear(
          texts.run(pool), [&](int64_t r, int64_t c) { return expected.at(r, c); }, 0,
          2e-6 + rounding);
    }
  }
}

TEST_P(SelfAttention, DoesNotDependOnTheOthersInTheStep) {
  const Shape shape{4, 2, 12, 12};
  const Texts alone(shape, {37}, DType::kF32, 5);
  Texts together(shape, {9, 37, 130}, DType::kF32, 8);
  for (int64_t r = 0; r < 37; ++r) {
    copyRow(alone.q.view(), r, 0, together.q.view(), 9 + r, 0, alone.q.view().cols);
    copyRow(alone.k.view(), r, 0, together.k.view(), 9 + r, 0, alone.k.view().cols);
    copyRow(alone.v.view(), r, 0, together.v.view(), 9 + r, 0, alone.v.view().cols);
  }
  const TestMatrix one = alone.run(pool), all = together.run(pool);
  for (int64_t r = 0; r < 37; ++r) {
    for (int64_t c = 0; c < one.view().cols; ++c) ASSERT_EQ(one.at(r, c), all.at(9 + r, c));
  }
}

DCC_PER_SETTING(SelfAttention);

}  // namespace
}  // namespace dcc::cpu
