// Steps of sequences whose keys and values lie in a cache of scattered pages, for tests of
// attention: what the CPU's kernel makes of them, and what the GPU's does.
#pragma once

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "cuda_test_support.h"
#include "runtime/plan/workspace.h"

namespace dcc::cuda::testing {

struct AttentionCase {
  int64_t heads, kv_heads, k_dim, v_dim, per_page = 64;
  int64_t window = 0, chunk = 0;
  float softcap = 0;
  bool sinks = false;
  int64_t first = 0, group = 0;
  int64_t longest = 4096;
  DType type = DType::kF32;  // of the cache
  DType q = type, out = type;
};

// A sequence's part of a step: tokens at positions [first, first + count).
struct Part {
  int64_t sequence, first, count;
};

class AttentionModel {
 public:
  // Sequences of these lengths, in the cache as a whole.
  AttentionModel(const AttentionCase& c, std::vector<int64_t> lengths)
      : case_(c), lengths_(std::move(lengths)), sinks_(TestMatrix(1, c.heads).random(9, 3)) {
    stride_ = (*std::max_element(lengths_.begin(), lengths_.end()) - 1) / c.per_page + 1;
    const int64_t sequences = static_cast<int64_t>(lengths_.size());
    for (int64_t i = 0; i < stride_ * sequences; ++i) table_.push_back(static_cast<int32_t>(i));
    std::shuffle(table_.begin(), table_.end(), std::mt19937(7));
    cache_.dtype = c.type;
    cache_.tokens_per_page = c.per_page;
    cache_.heads = c.kv_heads;
    cache_.k_dim = c.k_dim;
    cache_.v_dim = c.v_dim;
    const int64_t slots = c.kv_heads * c.per_page, size = byteSize(c.type);
    // As other layers' keys lie before and behind.
    cache_.k_offset = 64;
    cache_.v_offset = cache_.k_offset + (slots * c.k_dim * size + 63) / 64 * 64;
    cache_.bytes_per_page = cache_.v_offset + (slots * c.v_dim * size + 63) / 64 * 64 + 64;
    // Slots without a token hold no number.
    bytes_.assign(table_.size() * cache_.bytes_per_page, std::byte{0xff});
    cache_.pool = bytes_.data();
    for (int64_t b = 0; b < sequences; ++b) {
      const auto seed = static_cast<uint32_t>(100 * b);
      q_.push_back(TestMatrix(lengths_[b], c.heads * c.k_dim, c.q).random(seed, 2));
      const auto k = TestMatrix(lengths_[b], c.kv_heads * c.k_dim, c.type).random(seed + 1, 2);
      const auto v = TestMatrix(lengths_[b], c.kv_heads * c.v_dim, c.type).random(seed + 2);
      const int32_t starts[] = {0, static_cast<int32_t>(lengths_[b])};
      std::vector<int32_t> positions(lengths_[b]);
      for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(i);
      cpu::kvWrite(pool_, k.view(), v.view(), cache_,
                   {starts, positions, &table_[b * stride_], stride_});
    }
    device_pool_ = std::make_unique<DeviceBytes>(bytes_);
    device_cache_ = cache_;
    device_cache_.pool = device_pool_->as();
    device_sinks_ = std::make_unique<DeviceMatrix>(sinks_);
  }

  // Results of the CPU's kernel and, decode or not, of the GPU's, which gets so many rows and
  // sequences more as padding.
  struct Results {
    TestMatrix expected;
    std::unique_ptr<DeviceMatrix> got;
  };
  Results run(const std::vector<Part>& parts, bool decode, int64_t padding = 0) {
    std::vector<int32_t> starts = {0}, positions, sequences, pages;
    for (const Part& part : parts) {
      starts.push_back(starts.back() + static_cast<int32_t>(part.count));
      for (int64_t i = 0; i < part.count; ++i) {
        positions.push_back(static_cast<int32_t>(part.first + i));
        sequences.push_back(static_cast<int32_t>(starts.size() - 2));
      }
      addPages(part, pages);
    }
    const int64_t tokens = starts.back(), rows = tokens + padding;
    TestMatrix q(rows, case_.heads * case_.k_dim, case_.q, 8);
    int64_t row = 0;
    for (const Part& part : parts) {
      for (int64_t i = 0; i < part.count; ++i, ++row) {
        cpu::copyRow(q_[part.sequence].view(), part.first + i, 0, q.view(), row, 0, q.view().cols);
      }
    }
    Results results = {TestMatrix(rows, case_.heads * case_.v_dim, case_.out, 8), nullptr};
    results.got = std::make_unique<DeviceMatrix>(results.expected);
    runCpu(q, tokens, starts, positions, pages, results.expected);

    // Whoever looks for pages of padding finds none.
    starts.resize(starts.size() + padding, starts.back());
    pages.resize(pages.size() + padding * stride_, kNoPage);
    positions.resize(rows, 0);
    sequences.resize(rows, -1);
    const DeviceMatrix device_q(q);
    const DeviceBytes at(positions), of(sequences), begins(starts), table(pages);
    StepView step;
    step.positions = at.as<int32_t>();
    step.sequences = of.as<int32_t>();
    step.starts = begins.as<int32_t>();
    step.T = rows;
    step.B = static_cast<int64_t>(starts.size()) - 1;
    for (const Part& part : parts) step.longest = std::max(step.longest, part.count);
    AttentionShape shape = shapeOf<AttentionShape>();
    shape.sinks = case_.sinks ? device_sinks_->f32() : nullptr;
    const size_t bytes = attentionScratchBytes(step.B, case_.heads, device_cache_, shape);
    const DeviceBytes scratch{std::vector<std::byte>(bytes, std::byte{0xff})};
    const PagesView view = {table.as<int32_t>(), stride_};
    (decode ? decodeAttention : attention)(on_, device_q.view(), device_cache_, step, view, shape,
                                           results.got->view(), scratch.as());
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(counters_.download<uint32_t>(), std::vector<uint32_t>(kCounters));
    return results;
  }

 private:
  static constexpr int32_t kNoPage = 0x3fffffff;

  // A row of the step's page table: pages that nobody reads are not there.
  void addPages(const Part& part, std::vector<int32_t>& pages) const {
    int64_t oldest = 0;
    if (case_.window > 0) oldest = std::max<int64_t>(0, part.first - case_.window + 1);
    if (case_.chunk > 0) oldest = part.first / case_.chunk * case_.chunk;
    for (int64_t i = 0; i < stride_; ++i) {
      const bool seen = (i + 1) * case_.per_page > oldest &&
                        i * case_.per_page < part.first + part.count && part.count > 0;
      pages.push_back(seen ? table_[part.sequence * stride_ + i] : kNoPage);
    }
  }
  template <class Shape>
  Shape shapeOf() const {
    Shape shape;
    shape.head_dim = case_.k_dim;
    shape.scale = 0.7f / std::sqrt(static_cast<float>(case_.k_dim));
    shape.window = case_.window;
    shape.chunk = case_.chunk;
    shape.softcap = case_.softcap;
    shape.first = case_.first;
    shape.group = case_.group;
    shape.longest = case_.longest;
    return shape;
  }
  void runCpu(const TestMatrix& q, int64_t tokens, const std::vector<int32_t>& starts,
              const std::vector<int32_t>& positions, const std::vector<int32_t>& pages,
              TestMatrix& out) {
    // A step of the CPU has no sequences without tokens.
    std::vector<int32_t> some = {0}, table;
    for (size_t b = 0; b + 1 < starts.size(); ++b) {
      if (starts[b + 1] == starts[b]) continue;
      some.push_back(starts[b + 1]);
      table.insert(table.end(), pages.begin() + b * stride_, pages.begin() + (b + 1) * stride_);
    }
    auto shape = shapeOf<AttentionShape>();
    shape.sinks = case_.sinks ? sinks_.f32() : nullptr;
    const int64_t group = case_.group > 0 ? case_.group : case_.heads / case_.kv_heads;
    const cpu::testing::Scratch scratch(plan::attentionWorkspaceBytes(
        {case_.k_dim, case_.v_dim, std::min(group, case_.heads), case_.longest}, pool_.threads()));
    Matrix q_rows = q.view(), out_rows = out.view();
    q_rows.rows = out_rows.rows = tokens;
    cpu::attention(pool_, q_rows, cache_, {some, positions, table.data(), stride_}, shape, out_rows,
                   scratch.data());
  }

  AttentionCase case_;
  std::vector<int64_t> lengths_;
  int64_t stride_ = 0;
  std::vector<int32_t> table_;
  std::vector<std::byte> bytes_;
  CacheView cache_, device_cache_;
  std::vector<TestMatrix> q_;
  TestMatrix sinks_;
  std::unique_ptr<DeviceBytes> device_pool_;
  std::unique_ptr<DeviceMatrix> device_sinks_;
  cpu::ThreadPool pool_{1};
  DeviceBytes counters_{std::vector<uint32_t>(kCounters)};
  Launch on_{.counters = counters_.as<uint32_t>()};
};

}  // namespace dcc::cuda::testing
