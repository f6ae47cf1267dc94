// Kernels that move rows: embedding, last_token, first_token, mean_tokens, slice_columns, kv_write.
#include "cpu_test_support.h"

namespace dcc::cpu {
namespace {

using testing::TestMatrix;
using Rows = testing::PerSetting;

TEST_P(Rows, EmbeddingGivesZerosForOthersRows) {
  const int32_t tokens[] = {5, 10, 17, 4, 16, 11};  // the weight has rows [5, 17)
  for (DType type : testing::kFloats) {
    for (DType to : testing::kFloats) {
      const auto w = TestMatrix(12, 1100, type).random(1);
      TestMatrix out(6, 1100, to, 3);
      embedding(pool, tokens, w.weight(5), out.view());
      testing::expectNear(
          out,
          [&](int64_t t, int64_t c) {
            const int64_t row = tokens[t] - 5;
            return row >= 0 && row < 12 ? w.at(row, c) : 0.0;
          },
          0, to == DType::kF16 ? 1e-7 : 0);
    }
  }
}

TEST_P(Rows, LastTokenOfEachSequence) {
  const int32_t starts[] = {0, 1, 4, 9};
  const auto x = TestMatrix(9, 5, DType::kBF16, 2).random(2);
  TestMatrix out(3, 5, DType::kBF16, 1);
  lastToken(x.view(), starts, out.view());
  testing::expectNear(
      out, [&](int64_t b, int64_t c) { return x.at(starts[b + 1] - 1, c); }, 0, 0);
}

TEST_P(Rows, FirstTokenAndMeanOfEachSequence) {
  const int32_t starts[] = {0, 1, 4, 9};
  for (DType type : testing::kFloats) {
    const auto x = TestMatrix(9, 1300, type, 2).random(2);
    TestMatrix first(3, 1300, DType::kF32, 1), mean(3, 1300, type, 3);
    firstToken(x.view(), starts, first.view());
    testing::expectNear(
        first, [&](int64_t b, int64_t c) { return x.at(starts[b], c); }, 0, 0);
    meanTokens(x.view(), starts, mean.view());
    testing::expectNear(
        mean,
        [&](int64_t b, int64_t c) {
          double sum = 0;
          for (int32_t t = starts[b]; t < starts[b + 1]; ++t) sum += x.at(t, c);
          return sum / (starts[b + 1] - starts[b]);
        },
        0, 1e-6);
  }
}

TEST_P(Rows, SliceColumns) {
  const int64_t ranges[] = {7, 9, 0, 3, 11, 11, 3, 4};
  const int64_t columns[] = {7, 8, 0, 1, 2, 3};
  const auto x = TestMatrix(4, 12, DType::kF32, 2).random(3);
  TestMatrix out(4, 6, DType::kF32, 5);
  sliceColumns(x.view(), ranges, out.view());
  testing::expectNear(
      out, [&](int64_t r, int64_t c) { return x.at(r, columns[c]); }, 0, 0);
}

TEST_P(Rows, SliceHeads) {
  for (DType from : testing::kFloats) {
    for (DType to : testing::kFloats) {
      const auto x = TestMatrix(5, 3 * 70, from, 2).random(4);
      TestMatrix out(5, 3 * 33, to, 1);
      sliceHeads(pool, x.view(), 70, 20, 33, out.view());
      testing::expectNear(
          out, [&](int64_t r, int64_t c) { return x.at(r, c / 33 * 70 + 20 + c % 33); }, 0, 0);
    }
  }
}

TEST_P(Rows, ExtendHeads) {
  for (DType from : testing::kFloats) {
    for (DType to : testing::kFloats) {
      const auto x = TestMatrix(4, 3 * 50, from, 1).random(5);
      const auto y = TestMatrix(4, 7, DType::kF32, 2).random(6);
      TestMatrix out(4, 3 * 57, to, 3);
      extendHeads(pool, x.view(), y.view(), 50, out.view());
      const auto want = [&](int64_t r, int64_t c) {
        return c % 57 < 50 ? x.at(r, c / 57 * 50 + c % 57) : y.at(r, c % 57 - 50);
      };
      testing::expectNear(out, want, 0, 0);
    }
  }
}

// Two sequences over scattered pages, the second from the middle of a page; keys and values of
// different width. Slots no token went to keep what they had.
TEST_P(Rows, KvWrite) {
  const int64_t heads = 3, k_dim = 6, v_dim = 5, per_page = 4, pages = 7;
  const int32_t starts[] = {0, 5, 8};
  const int32_t positions[] = {0, 1, 2, 3, 4, 6, 7, 8};
  const int32_t table[] = {6, 2, -1, 0, 5, 1};
  for (DType type : testing::kFloats) {
    for (DType cache_type : testing::kFloats) {
      const auto k = TestMatrix(8, heads * k_dim, type, 4).random(4);
      const auto v = TestMatrix(8, heads * v_dim, type, 1).random(5);
      const int64_t size = byteSize(cache_type);
      CacheView cache;
      cache.dtype = cache_type;
      cache.tokens_per_page = per_page;
      cache.heads = heads;
      cache.k_dim = k_dim;
      cache.v_dim = v_dim;
      cache.k_offset = 16;
      cache.v_offset = 16 + heads * per_page * k_dim * size;
      cache.bytes_per_page = cache.v_offset + heads * per_page * v_dim * size + 8;
      std::vector<std::byte> pool_bytes(pages * cache.bytes_per_page, std::byte{0x11});
      cache.pool = pool_bytes.data();
      kvWrite(pool, k.view(), v.view(), cache, {starts, positions, table, 3});

      const auto read = [&](const std::byte* at) {
        float value;
        toF32(cache_type, at, &value, 1);
        return value;
      };
      std::vector<bool> written(pool_bytes.size());
      for (int64_t t = 0; t < 8; ++t) {
        const int64_t b = t < 5 ? 0 : 1;
        const int64_t page = table[b * 3 + positions[t] / per_page], slot = positions[t] % per_page;
        for (int64_t h = 0; h < heads; ++h) {
          const int64_t k_at =
              page * cache.bytes_per_page + cache.k_offset + (h * per_page + slot) * k_dim * size;
          const int64_t v_at =
              page * cache.bytes_per_page + cache.v_offset + (h * per_page + slot) * v_dim * size;
          for (int64_t c = 0; c < k_dim; ++c) {
            const double want = k.at(t, h * k_dim + c);
            ASSERT_NEAR(read(&pool_bytes[k_at + c * size]), want,
                        testing::roundoff(cache_type) * std::abs(want) + 1e-7);
          }
          for (int64_t c = 0; c < v_dim; ++c) {
            const double want = v.at(t, h * v_dim + c);
            ASSERT_NEAR(read(&pool_bytes[v_at + c * size]), want,
                        testing::roundoff(cache_type) * std::abs(want) + 1e-7);
          }
          std::fill_n(written.begin() + k_at, k_dim * size, true);
          std::fill_n(written.begin() + v_at, v_dim * size, true);
        }
      }
      for (size_t i = 0; i < pool_bytes.size(); ++i) {
        if (!written[i]) {
          ASSERT_EQ(pool_bytes[i], std::byte{0x11}) << i;
        }
      }
    }
  }
}

DCC_PER_SETTING(Rows);

}  // namespace
}  // namespace dcc::cpu
