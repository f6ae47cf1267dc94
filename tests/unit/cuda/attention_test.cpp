#include <cstring>
#include <iterator>
#include <span>

#include "attention_test_support.h"

namespace dcc::cuda {
namespace {

using testing::AttentionCase;
using testing::AttentionModel;
using testing::Part;
using testing::TestMatrix;
using Attention = testing::OnDevice;

// Sequences of four lengths; a whole prompt, the end of one, one not in the step, and one token.
constexpr int64_t kLengths[] = {21, 150, 70, 200};
constexpr Part kPrefill[] = {{0, 0, 21}, {1, 133, 17}, {2, 0, 0}, {3, 199, 1}};
constexpr Part kShort[] = {{0, 0, 5}, {1, 145, 5}, {2, 0, 0}, {3, 199, 1}};
constexpr Part kDecode[] = {{0, 20, 1}, {1, 149, 1}, {2, 0, 0}, {3, 199, 1}, {2, 63, 1}};

void expectAsOnCpu(const AttentionCase& c, std::span<const Part> prefill) {
  AttentionModel model(c, {std::begin(kLengths), std::end(kLengths)});
  for (bool decode : {true, false}) {
    SCOPED_TRACE(decode ? "decode" : "prefill");
    const std::span<const Part> parts = decode ? kDecode : prefill;
    const auto results = model.run({parts.begin(), parts.end()}, decode, 2);
    // Values are at most 1.
    testing::expectClose(*results.got, results.expected);
  }
}

// Sizes for which there is no faster way.
TEST_F(Attention, AnySizes) {
  for (const AttentionCase& c : {
           AttentionCase{4, 4, 16, 16, 4},
           AttentionCase{6, 3, 7, 5, 1},
           AttentionCase{10, 1, 20, 12, 3},
           AttentionCase{2, 2, 24, 100, 32, 130},
           AttentionCase{4, 2, 16, 16, 16, 0, 16},
           AttentionCase{4, 1, 24, 20, 8, 7, 0, 2.0f},
           AttentionCase{4, 4, 20, 12, 4, 5, 0, 0, true},
           AttentionCase{4, 2, 16, 16, 16, 0, 100, 1.5f, true},
           // Heads 2 | 3 4 5 | 6 of KV heads with three each.
           AttentionCase{5, 3, 16, 24, 8, 9, 0, 0, true, 2, 3},
       }) {
    expectAsOnCpu(c, kShort);
  }
}

TEST_F(Attention, AnyTypes) {
  for (DType cache : testing::kFloats) {
    for (DType q : testing::kFloats) {
      AttentionCase c{4, 2, 16, 24, 16};
      c.type = cache;
      c.q = q;
      c.out = cache;
      expectAsOnCpu(c, kShort);
    }
  }
}

// On tensor cores: sizes that models have, with heads in groups of 1, 3 and 20, and all that
// decides what a token sees.
TEST_F(Attention, Tiles) {
  for (AttentionCase c : {
           AttentionCase{2, 2, 64, 64},
           AttentionCase{6, 2, 96, 96, 16},
           AttentionCase{2, 2, 80, 80},
           AttentionCase{4, 1, 128, 128},
           AttentionCase{20, 1, 64, 64, 32},
           AttentionCase{2, 1, 192, 128},
           AttentionCase{1, 1, 256, 256, 128},
           AttentionCase{4, 2, 64, 64, 64, 37},
           AttentionCase{4, 2, 64, 64, 16, 0, 48},
           AttentionCase{4, 2, 64, 64, 64, 0, 0, 2.0f},
           AttentionCase{4, 2, 64, 64, 64, 90, 0, 0, true},
           AttentionCase{5, 3, 64, 64, 64, 0, 100, 1.5f, true, 2, 3},
       }) {
    for (DType type : {DType::kBF16, DType::kF16}) {
      if (type == DType::kF16 && c.k_dim > 96) continue;
      c.type = c.q = c.out = type;
      expectAsOnCpu(c, kPrefill);
    }
  }
}

// The same bits alone, among others and in a larger bucket.
TEST_F(Attention, TokensDoNotDependOnTheStep) {
  for (DType type : {DType::kF32, DType::kBF16}) {
    AttentionCase c{4, 2, 64, 64};
    c.type = c.q = c.out = type;
    AttentionModel model(c, {700, 20, 300});
    const auto alone = model.run({{0, 699, 1}}, true).got->download();
    const auto among = model.run({{1, 19, 1}, {0, 699, 1}, {2, 299, 1}}, true, 3).got->download();
    ASSERT_EQ(0,
              std::memcmp(alone.view().at(0, 0), among.view().at(1, 0), 4 * 64 * byteSize(type)));
  }
}

TEST_F(Attention, SelfAttention) {
  struct Shape {
    int64_t heads, kv_heads, k_dim, v_dim;
    float softcap;
    int32_t length;
  };
  for (const Shape& s : {Shape{4, 4, 16, 16, 0, 20}, Shape{4, 2, 20, 12, 3, 10},
                         Shape{4, 2, 64, 64, 0, 70}, Shape{2, 2, 128, 128, 3, 9}}) {
    for (DType type : testing::kFloats) {
      const std::vector<int32_t> starts = {0, 7, 8, 8 + s.length},
                                 padded = {0, 7, 8, 8 + s.length, 8 + s.length};
      std::vector<int32_t> sequences;
      for (int b = 0; b < 3; ++b) sequences.resize(starts[b + 1], b);
      const int64_t tokens = starts.back(), rows = tokens + 2;
      sequences.resize(rows, -1);
      const auto q = TestMatrix(rows, s.heads * s.k_dim, type, 8).random(1, 2);
      const auto k = TestMatrix(rows, s.kv_heads * s.k_dim, type, 8).random(2, 2);
      const auto v = TestMatrix(rows, s.kv_heads * s.v_dim, type, 16).random(3);
      TestMatrix expected(rows, s.heads * s.v_dim, type, 8);
      const testing::DeviceMatrix dq(q), dk(k), dv(v), out(expected);
      const testing::DeviceBytes begins(padded), of(sequences);

      AttentionShape cpu_shape;
      cpu_shape.head_dim = s.k_dim;
      cpu_shape.scale = 0.1f;
      cpu_shape.softcap = s.softcap;
      const cpu::testing::Scratch scratch(plan::attentionWorkspaceBytes(
          {s.k_dim, s.v_dim, s.heads / s.kv_heads, 0}, pool.threads()));
      Matrix q_rows = q.view(), out_rows = expected.view();
      q_rows.rows = out_rows.rows = tokens;
      cpu::selfAttention(pool, q_rows, k.view(), v.view(), starts, cpu_shape, out_rows,
                         scratch.data());

      AttentionShape shape;
      shape.head_dim = s.k_dim;
      shape.scale = 0.1f;
      shape.softcap = s.softcap;
      StepView step;
      step.starts = begins.as<int32_t>();
      step.sequences = of.as<int32_t>();
      step.T = rows;
      step.B = 4;
      step.longest = s.length;
      selfAttention(on, dq.view(), dk.view(), dv.view(), step, shape, out.view());
      // The CPU adds scores and weights up in another order.
      testing::expectClose(out, expected, 1, 8);
    }
  }
}

}  // namespace
}  // namespace dcc::cuda
