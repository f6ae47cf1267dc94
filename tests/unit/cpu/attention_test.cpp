#include <algorithm>
#include <tuple>

#include "cpu_test_support.h"
#include "runtime/plan/workspace.h"

namespace dcc::cpu {
namespace {

using testing::TestMatrix;

struct Shape {
  int64_t heads, kv_heads, k_dim, v_dim, per_page, window = 0;
  int64_t chunk = 0;
  float softcap = 0;
  bool sinks = false;
  // Query head h reads KV head (first + h) / group; group 0: as many for each.
  int64_t first = 0, group = 0;
  int64_t longest = 0;  // tokens; 0: keys are one segment

  int64_t kvHead(int64_t head) const {
    return group > 0 ? (first + head) / group : head / (heads / kv_heads);
  }
};

// Sequences whose keys and values are all in a cache of scattered pages; queries of any positions.
class Model {
 public:
  Model(const Shape& shape, std::vector<int64_t> lengths, DType type)
      : shape_(shape), lengths_(std::move(lengths)), sinks_(1, shape.heads) {
    sinks_.random(9, 3);
    const int64_t longest = *std::max_element(lengths_.begin(), lengths_.end());
    stride_ = (longest + shape.per_page - 1) / shape.per_page;
    const int64_t pages = stride_ * static_cast<int64_t>(lengths_.size());
    for (int64_t i = 0; i < pages; ++i) table_.push_back(static_cast<int32_t>(i));
    std::shuffle(table_.begin(), table_.end(), std::mt19937(7));

    cache_.dtype = type;
    cache_.tokens_per_page = shape.per_page;
    cache_.heads = shape.kv_heads;
    cache_.k_dim = shape.k_dim;
    cache_.v_dim = shape.v_dim;
    const int64_t slots = shape.kv_heads * shape.per_page, size = byteSize(type);
    cache_.v_offset = (slots * shape.k_dim * size + 63) / 64 * 64;
    cache_.bytes_per_page = (cache_.v_offset + slots * shape.v_dim * size + 63) / 64 * 64;
    bytes_.resize(pages * cache_.bytes_per_page);
    cache_.pool = bytes_.data();
    for (int64_t b = 0; b < count(); ++b) {
      const auto seed = static_cast<uint32_t>(100 * b);
      q_.push_back(TestMatrix(lengths_[b], shape.heads * shape.k_dim, type).random(seed, 2));
      k_.push_back(TestMatrix(lengths_[b], shape.kv_heads * shape.k_dim, type).random(seed + 1, 2));
      v_.push_back(TestMatrix(lengths_[b], shape.kv_heads * shape.v_dim, type).random(seed + 2));
      const int32_t starts[] = {0, static_cast<int32_t>(lengths_[b])};
      std::vector<int32_t> positions(lengths_[b]);
      for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(i);
      ThreadPool pool(1);
      kvWrite(pool, k_[b].view(), v_[b].view(), cache_,
              {starts, positions, &table_[b * stride_], stride_});
    }
  }

  int64_t count() const { return static_cast<int64_t>(lengths_.size()); }
  float scale() const { return 0.7f / std::sqrt(static_cast<float>(shape_.k_dim)); }

  // Attention of `counts[b]` tokens of each sequence (0: not in the step) from `firsts[b]` on.
  TestMatrix run(ThreadPool& pool, const std::vector<int64_t>& firsts,
                 const std::vector<int64_t>& counts, DType type = DType::kF32) {
    std::vector<int32_t> starts = {0}, positions, pages;
    for (int64_t b = 0; b < count(); ++b) {
      if (counts[b] == 0) continue;
      starts.push_back(starts.back() + static_cast<int32_t>(counts[b]));
      for (int64_t i = 0; i < counts[b]; ++i) {
        positions.push_back(static_cast<int32_t>(firsts[b] + i));
      }
      pages.insert(pages.end(), &table_[b * stride_], &table_[b * stride_] + stride_);
    }
    TestMatrix q(starts.back(), shape_.heads * shape_.k_dim, type, 3);
    int64_t row = 0;
    for (int64_t b = 0; b < count(); ++b) {
      for (int64_t i = 0; i < counts[b]; ++i, ++row) {
        copyRow(q_[b].view(), firsts[b] + i, 0, q.view(), row, 0, q.view().cols);
      }
    }
    TestMatrix out(starts.back(), shape_.heads * shape_.v_dim, type, 5);
    const int64_t group = shape_.group > 0 ? shape_.group : shape_.heads / cache_.heads;
    testing::Scratch scratch(plan::attentionWorkspaceBytes(
        {cache_.k_dim, cache_.v_dim, std::min(group, shape_.heads), shape_.longest},
        pool.threads()));
    attention(pool, q.view(), cache_, {starts, positions, pages.data(), stride_},
              {.head_dim = shape_.k_dim,
               .scale = scale(),
               .window = shape_.window,
               .chunk = shape_.chunk,
               .softcap = shape_.softcap,
               .first = shape_.first,
               .group = shape_.group,
               .sinks = shape_.sinks ? sinks_.f32() : nullptr,
               .longest = shape_.longest},
              out.view(), scratch.data());
    EXPECT_TRUE(out.guardsIntact());
    return out;
  }

  // All of a token's results, by definition.
  std::vector<double> expected(int64_t b, int64_t position) const {
    std::vector<double> out;
    for (int64_t h = 0; h < shape_.heads; ++h) {
      const int64_t g = shape_.kvHead(h);
      int64_t first = 0;
      if (shape_.window > 0) first = std::max<int64_t>(0, position - shape_.window + 1);
      if (shape_.chunk > 0) first = position / shape_.chunk * shape_.chunk;
      std::vector<double> weights;
      double largest = -HUGE_VAL, sum = 0;
      for (int64_t j = first; j <= position; ++j) {
        double score = 0;
        for (int64_t c = 0; c < shape_.k_dim; ++c) {
          score += q_[b].at(position, h * shape_.k_dim + c) * k_[b].at(j, g * shape_.k_dim + c);
        }
        score *= scale();
        if (shape_.softcap > 0) score = shape_.softcap * std::tanh(score / shape_.softcap);
        weights.push_back(score);
        largest = std::max(largest, score);
      }
      if (shape_.sinks) {
        const double sink = sinks_.at(0, h);
        largest = std::max(largest, sink);
        sum = std::exp(sink - largest);
      }
      for (double& w : weights) sum += w = std::exp(w - largest);
      for (int64_t c = 0; c < shape_.v_dim; ++c) {
        double value = 0;
        for (int64_t j = first; j <= position; ++j) {
          value += weights[j - first] / sum * v_[b].at(j, g * shape_.v_dim + c);
        }
        out.push_back(value);
      }
    }
    return out;
  }

  void expectRows(const TestMatrix& out, const std::vector<int64_t>& firsts,
                  const std::vector<int64_t>& counts) const {
    int64_t row = 0;
    for (int64_t b = 0; b < count(); ++b) {
      for (int64_t i = 0; i < counts[b]; ++i, ++row) {
        const auto want = expected(b, firsts[b] + i);
        for (size_t c = 0; c < want.size(); ++c) {
          ASSERT_NEAR(out.at(row, static_cast<int64_t>(c)), want[c], 2e-6)
              << "sequence " << b << ", position " << firsts[b] + i << ", column " << c;
        }
      }
    }
  }

 private:
  Shape shape_;
  std::vector<int64_t> lengths_;
  int64_t stride_ = 0;
  std::vector<int32_t> table_;
  CacheView cache_;
  std::vector<std::byte> bytes_;
  std::vector<TestMatrix> q_, k_, v_;
  TestMatrix sinks_;
};

using Attention = testing::PerSetting;

// Heads shared by 1, 2, 4 and 40 query heads; dimensions below, at, between and above vectors;
// pages smaller and larger than a block of keys; windows that end inside and beyond a block.
constexpr Shape kShapes[] = {
    {4, 4, 16, 16, 4, 0},  {8, 4, 32, 32, 16, 0},    {4, 1, 64, 64, 16, 0},
    {40, 1, 20, 12, 3, 0}, {2, 1, 128, 128, 200, 0}, {6, 3, 7, 5, 1, 0},
    {4, 2, 16, 16, 16, 1}, {4, 2, 64, 80, 16, 5},    {2, 2, 24, 100, 32, 130},
};

TEST_P(Attention, MatchesDefinition) {
  for (const Shape& shape : kShapes) {
    Model model(shape, {1, 9, 150, 290}, DType::kF32);
    // A whole prompt, the middle of one, and single tokens, together.
    const std::vector<int64_t> firsts = {0, 0, 100, 289}, counts = {1, 9, 33, 1};
    model.expectRows(model.run(pool, firsts, counts), firsts, counts);
  }
}

// Soft caps, sinks, and chunks that end inside and beyond a block of keys.
constexpr Shape kVariants[] = {
    {4, 2, 16, 16, 16, 0, 0, 0.5f},   {4, 1, 24, 20, 8, 7, 0, 2.0f},
    {4, 2, 16, 16, 16, 0, 16},        {2, 2, 16, 16, 8, 0, 130},
    {3, 1, 16, 16, 16, 0, 1},         {6, 2, 16, 16, 16, 0, 0, 0, true},
    {4, 4, 20, 12, 4, 5, 0, 0, true}, {4, 2, 16, 16, 16, 0, 100, 1.5f, true},
};

TEST_P(Attention, CapsSinksAndChunks) {
  for (const Shape& shape : kVariants) {
    Model model(shape, {1, 9, 150, 290}, DType::kF32);
    const std::vector<int64_t> firsts = {0, 0, 100, 289}, counts = {1, 9, 33, 1};
    model.expectRows(model.run(pool, firsts, counts), firsts, counts);
  }
}

// A rank whose query heads begin or end within a group: some KV heads have fewer of them.
TEST_P(Attention, PartsOfGroups) {
  constexpr Shape kParts[] = {
      {3, 2, 16, 16, 16, 0, 0, 0, false, 0, 2},  // of heads 0 1 | 2
      {3, 2, 16, 16, 16, 0, 0, 0, true, 1, 2},   // 1 | 2 3
      {5, 3, 16, 24, 8, 9, 0, 0, true, 2, 3},    // 2 | 3 4 5 | 6
      {2, 1, 20, 12, 4, 0, 0, 0, false, 5, 8},   // 5 6 of 8
  };
  for (Shape shape : kParts) {
    // The KV heads that are here begin with the first one that is read.
    shape.first %= shape.group;
    Model model(shape, {9, 150}, DType::kF32);
    const std::vector<int64_t> firsts = {0, 100}, counts = {9, 33};
    model.expectRows(model.run(pool, firsts, counts), firsts, counts);
  }
}

TEST_P(Attention, EveryTypeOfCache) {
  for (DType type : testing::kFloats) {
    Model model({4, 2, 48, 40, 8, 0}, {140, 3}, type);
    const std::vector<int64_t> firsts = {125, 2}, counts = {15, 1};
    model.expectRows(model.run(pool, firsts, counts), firsts, counts);
  }
}

TEST_P(Attention, NarrowQueriesAndResults) {
  for (DType type : {DType::kBF16, DType::kF16}) {
    for (const Shape& shape :
         {Shape{4, 2, 16, 16, 8, 0}, Shape{4, 2, 64, 40, 8, 0}, Shape{6, 2, 96, 64, 16, 30}}) {
      Model model(shape, {40, 150}, type);
      const TestMatrix out = model.run(pool, {0, 133}, {40, 17}, type);
      for (int64_t t = 0; t < 57; ++t) {
        const auto want = t < 40 ? model.expected(0, t) : model.expected(1, 133 + t - 40);
        for (size_t c = 0; c < want.size(); ++c) {
          // Values are at most 1.
          ASSERT_NEAR(out.at(t, static_cast<int64_t>(c)), want[c], 2e-6 + testing::roundoff(type));
        }
      }
    }
  }
}

// Scores so far apart that all but one weight vanish, with the largest first, last and in between.
TEST_P(Attention, LargeScores) {
  const int64_t length = 300;
  for (int64_t peak : {0, 127, 128, 299}) {
    TestMatrix q(1, 16), k(length, 16), v(length, 16);
    for (int64_t c = 0; c < 16; ++c) q.set(0, c, 1000);
    for (int64_t j = 0; j < length; ++j) {
      for (int64_t c = 0; c < 16; ++c) {
        k.set(j, c, j == peak ? 1000 : -1000);
        v.set(j, c, static_cast<float>(j));
      }
    }
    std::vector<std::byte> bytes(300 * 16 * 4 * 2);
    CacheView cache;
    cache.pool = bytes.data();
    cache.tokens_per_page = 300;
    cache.heads = 1;
    cache.k_dim = cache.v_dim = 16;
    cache.v_offset = 300 * 16 * 4;
    cache.bytes_per_page = static_cast<int64_t>(bytes.size());
    const int32_t page = 0, all[] = {0, 300}, one[] = {0, 1}, last[] = {299};
    std::vector<int32_t> positions(300);
    for (int32_t i = 0; i < 300; ++i) positions[i] = i;
    kvWrite(pool, k.view(), v.view(), cache, {all, positions, &page, 1});
    TestMatrix out(1, 16);
    testing::Scratch scratch(
        plan::attentionWorkspaceBytes({cache.k_dim, cache.v_dim, 1, 0}, pool.threads()));
    attention(pool, q.view(), cache, {one, last, &page, 1}, {16, 1, 0}, out.view(), scratch.data());
    for (int64_t c = 0; c < 16; ++c) EXPECT_EQ(out.at(0, c), static_cast<double>(peak));
  }
}

// A token's result has the same bits however its prompt is cut and whoever else is in the step.
TEST_P(Attention, TokensDoNotDependOnTheStep) {
  for (const auto& [window, dim, type] :
       {std::tuple(0, 16, DType::kF32), std::tuple(37, 16, DType::kF32),
        std::tuple(37, 32, DType::kBF16)}) {
    Model model({6, 2, dim, 24, 16, window}, {300, 170}, type);
    const TestMatrix all = model.run(pool, {0, 0}, {300, 170}, type);
    std::mt19937 random(11);
    for (int64_t a = 0, b = 0; a < 300 || b < 170;) {
      const int64_t na = std::min<int64_t>(random() % 40, 300 - a);
      const int64_t nb = std::min<int64_t>(random() % 20, 170 - b);
      if (na + nb == 0) continue;
      ThreadPool other(1 + random() % 2);
      const TestMatrix part = model.run(other, {a, b}, {na, nb}, type);
      for (int64_t i = 0; i < na + nb; ++i) {
        const int64_t row = i < na ? a + i : 300 + b + (i - na);
        ASSERT_EQ(
            0, std::memcmp(part.view().at(i, 0), all.view().at(row, 0), 6 * 24 * byteSize(type)));
      }
      a += na;
      b += nb;
    }
  }
}

// Keys in segments, which threads share when there are few tokens: the same bits by any number of
// threads, alone, with others and at the end of a prompt.
TEST_P(Attention, LongSequences) {
  constexpr Shape kLong[] = {
      {.heads = 6, .kv_heads = 2, .k_dim = 16, .v_dim = 12, .per_page = 16, .longest = 2048},
      {.heads = 3,
       .kv_heads = 1,
       .k_dim = 32,
       .v_dim = 32,
       .per_page = 100,
       .window = 700,
       .sinks = true,
       .longest = 40000},
      {.heads = 2,
       .kv_heads = 1,
       .k_dim = 20,
       .v_dim = 16,
       .per_page = 8,
       .chunk = 520,
       .softcap = 3,
       .sinks = true,
       .longest = 1701},
  };
  for (const Shape& shape : kLong) {
    Model model(shape, {1700, 600}, DType::kF32);
    const TestMatrix all = model.run(pool, {1690, 590}, {10, 10});
    model.expectRows(all, {1690, 590}, {10, 10});
    for (uint32_t threads : {1, 2, 3, 7}) {
      ThreadPool other(threads);
      const TestMatrix both = model.run(other, {1699, 599}, {1, 1});
      const TestMatrix one = model.run(other, {1699, 0}, {1, 0});
      const int64_t bytes = shape.heads * shape.v_dim * static_cast<int64_t>(sizeof(float));
      ASSERT_EQ(0, std::memcmp(both.view().at(0, 0), all.view().at(9, 0), bytes)) << threads;
      ASSERT_EQ(0, std::memcmp(both.view().at(1, 0), all.view().at(19, 0), bytes)) << threads;
      ASSERT_EQ(0, std::memcmp(one.view().at(0, 0), all.view().at(9, 0), bytes)) << threads;
    }
  }
}

DCC_PER_SETTING(Attention);

}  // namespace
}  // namespace dcc::cpu
