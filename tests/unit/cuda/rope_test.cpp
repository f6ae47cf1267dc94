// rope, kv_write and both in one launch. Angles are those of the CPU's table, which has tests of
// its own.
#include "cuda_test_support.h"
#include "runtime/backends/cpu/rotary.h"

namespace dcc::cuda {
namespace {

using testing::DeviceBytes;
using testing::DeviceMatrix;
using testing::TestMatrix;

std::vector<float> frequencies(int64_t half, double theta) {
  std::vector<float> f;
  for (int64_t i = 0; i < half; ++i) {
    f.push_back(static_cast<float>(std::pow(theta, -static_cast<double>(i) / half)));
  }
  return f;
}

// Three sequences with pages of four tokens, and two rows of padding, on the host and the device.
struct TestStep {
  std::vector<int32_t> positions = {0, 1, 2, 3, 4, 17, 18, 1000003, 0, 0};
  std::vector<int32_t> sequences = {0, 0, 0, 0, 0, 1, 1, 2, -1, -1};
  std::vector<int32_t> starts = {0, 5, 7, 8, 8, 8};
  std::vector<int32_t> lengths = {64, 65, 1000004, 0, 0};
  DeviceBytes d_positions{positions}, d_sequences{sequences}, d_starts{starts}, d_lengths{lengths};
  int64_t live = 8;  // tokens that are no padding

  StepView view() const {
    StepView v;
    v.positions = d_positions.as<int32_t>();
    v.sequences = d_sequences.as<int32_t>();
    v.starts = d_starts.as<int32_t>();
    v.rope_lengths = d_lengths.as<int32_t>();
    v.T = static_cast<int64_t>(positions.size());
    v.B = static_cast<int64_t>(lengths.size());
    return v;
  }
  int64_t T() const { return static_cast<int64_t>(positions.size()); }
};

// How a kernel turns, for the CPU and for the device.
struct Turn {
  int64_t head_dim, first, half;
  bool interleaved = false;
  float scale = 1;
  std::optional<cpu::LongFrequencies> beyond = {};
};

class Rope : public testing::OnDevice {
 protected:
  // What the CPU makes of `x`; rows of padding are left as they are.
  TestMatrix expected(const Turn& turn, const TestMatrix& x, DType to, int64_t gap) {
    const std::vector<float> f = frequencies(turn.half, 10000);
    cpu::RotaryTable table(f, turn.scale, turn.beyond, step.live);
    table.fill(pool, std::span(step.positions).first(step.live), std::span(step.starts).first(4),
               std::span(step.lengths).first(3));
    TestMatrix out(x.view().rows, x.view().cols, to, gap);
    Matrix from = x.view(), live = out.view();
    from.rows = live.rows = step.live;
    cpu::rope(pool, from, table.view(), turn.head_dim, turn.first, turn.interleaved, live);
    return out;
  }

  RopeShape shape(const Turn& turn, const DeviceBytes& f, const DeviceBytes* beyond) const {
    RopeShape s;
    s.frequencies = f.as<float>();
    s.half = turn.half;
    s.scale = turn.scale;
    s.head_dim = turn.head_dim;
    s.first = turn.first;
    s.interleaved = turn.interleaved;
    if (turn.beyond) {
      s.original_positions = turn.beyond->original_positions;
      s.beyond = beyond == nullptr ? nullptr : beyond->as<float>();
      s.theta = turn.beyond->theta;
      s.factor = turn.beyond->factor;
    }
    return s;
  }

  // Live rows only.
  void expectTurned(const DeviceMatrix& out, const TestMatrix& expected, double roundings) const {
    TestMatrix live = expected;
    const TestMatrix got = out.download();
    for (int64_t r = step.live; r < live.view().rows; ++r) {
      for (int64_t c = 0; c < live.view().cols; ++c) {
        live.set(r, c, static_cast<float>(got.at(r, c)));
      }
    }
    testing::expectClose(out, live, 2, roundings);
  }

  TestStep step;
};

constexpr double kRoundings = 8;

TEST_F(Rope, Turns) {
  const Turn turns[] = {
      {128, 0, 64}, {128, 0, 64, true}, {20, 0, 10},        {20, 0, 10, true},
      {64, 0, 16},  {40, 12, 10},       {40, 12, 10, true}, {192, 128, 32, true, 1.25f},
      {2, 0, 1},    {1000, 936, 32}};
  for (const Turn& turn : turns) {
    const DeviceBytes f(frequencies(turn.half, 10000));
    for (DType from : testing::kFloats) {
      for (DType to : testing::kFloats) {
        const int64_t heads = turn.head_dim >= 1000 ? 1 : 3;
        const auto x = TestMatrix(step.T(), heads * turn.head_dim, from, 8).random(1);
        const TestMatrix want = expected(turn, x, to, 5);
        const DeviceMatrix dx(x), out(want);
        rope(on, dx.view(), step.view(), shape(turn, f, nullptr), out.view());
        expectTurned(out, want, kRoundings);
      }
    }
  }
}

// Turning (1, 0) gives cosine and sine themselves, here of angles up to 2^31.
TEST_F(Rope, Angles) {
  constexpr int64_t kHalf = 24;
  std::vector<float> f = frequencies(kHalf, 10000);
  f[1] = 1.5707964f;  // to multiples of pi / 2, near which cosines are small
  f[2] = 0.78539819f;
  const DeviceBytes device(f);
  std::vector<int32_t> positions = {0, 1, 2, 3, 4, 5, 105615, 105616, 1000003, 2147483647};
  for (int32_t p = 7; p < 2000000; p = p * 3 + 1) positions.push_back(p);
  const std::vector<int32_t> sequences(positions.size(), 0);
  const DeviceBytes d_positions(positions), d_sequences(sequences);
  StepView view;
  view.positions = d_positions.as<int32_t>();
  view.sequences = d_sequences.as<int32_t>();
  view.T = static_cast<int64_t>(positions.size());
  TestMatrix x(view.T, 2 * kHalf);
  for (int64_t t = 0; t < view.T; ++t) {
    for (int64_t c = 0; c < 2 * kHalf; ++c) x.set(t, c, c < kHalf ? 1 : 0);
  }
  const DeviceMatrix dx(x), out(x);
  rope(on, dx.view(), view, shape({2 * kHalf, 0, kHalf}, device, nullptr), out.view());
  const TestMatrix got = out.download();
  for (int64_t t = 0; t < view.T; ++t) {
    for (int64_t i = 0; i < kHalf; ++i) {
      const double angle = static_cast<float>(positions[t]) * f[i];
      ASSERT_NEAR(got.at(t, i), std::cos(angle), 0x1p-23) << positions[t] << " " << i;
      ASSERT_NEAR(got.at(t, kHalf + i), std::sin(angle), 0x1p-23) << positions[t] << " " << i;
    }
  }
}

TEST_F(Rope, InPlace) {
  for (DType type : testing::kFloats) {
    const Turn turn{64, 8, 16};
    const DeviceBytes f(frequencies(turn.half, 10000));
    const auto x = TestMatrix(step.T(), 2 * 64, type).random(1);
    const TestMatrix want = expected(turn, x, type, 0);
    const DeviceMatrix dx(x);
    rope(on, dx.view(), step.view(), shape(turn, f, nullptr), dx.view());
    expectTurned(dx, want, kRoundings);
  }
}

// Sequences whose rope length is above 64 turn by other frequencies.
TEST_F(Rope, LongSequences) {
  const std::vector<float> beyond = frequencies(8, 500);
  const DeviceBytes f(frequencies(8, 10000)), d_beyond(beyond);
  step.positions[7] = 5000;
  step.lengths[2] = 5001;
  const DeviceBytes positions(step.positions), lengths(step.lengths);
  StepView view = step.view();
  view.positions = positions.as<int32_t>();
  view.rope_lengths = lengths.as<int32_t>();
  for (bool dynamic : {false, true}) {
    Turn turn{16, 0, 8, false, 1.5f};
    turn.beyond =
        dynamic ? cpu::LongFrequencies{64, {}, 10000, 2} : cpu::LongFrequencies{64, beyond, 0, 0};
    const auto x = TestMatrix(step.T(), 48).random(1);
    const TestMatrix want = expected(turn, x, DType::kF32, 0);
    const DeviceMatrix dx(x), out(want);
    rope(on, dx.view(), view, shape(turn, f, dynamic ? nullptr : &d_beyond), out.view());
    expectTurned(out, want, kRoundings);
  }
}

// A cache with both its pages and what lies between them, on the host and the device.
struct TestCache {
  TestCache(DType type, int64_t heads, int64_t k_dim, int64_t v_dim) {
    const int64_t size = byteSize(type);
    view.dtype = type;
    view.tokens_per_page = 4;
    view.heads = heads;
    view.k_dim = k_dim;
    view.v_dim = v_dim;
    view.k_offset = 16;
    view.v_offset = (16 + heads * 4 * k_dim * size + 15) / 16 * 16;
    view.bytes_per_page = (view.v_offset + heads * 4 * v_dim * size + 15) / 16 * 16;
    bytes.assign(kPages * view.bytes_per_page, std::byte{0x11});
  }
  CacheView on(std::byte* pool) const {
    CacheView v = view;
    v.pool = pool;
    return v;
  }

  static constexpr int64_t kPages = 9;
  CacheView view;
  std::vector<std::byte> bytes;
};

// The third sequence is at position 1000003: its row of the table is long.
struct TestPages {
  TestPages() {
    table.assign(3 * stride, -1);
    const int32_t first[] = {6, 2}, second[] = {-1, -1, -1, -1, 5};
    std::copy(first, first + 2, table.begin());
    std::copy(second, second + 5, table.begin() + stride);
    table[2 * stride + 1000003 / 4] = 8;
  }
  int64_t stride = 250002;
  std::vector<int32_t> table;
};

TEST_F(Rope, KvWrite) {
  const TestPages pages;
  const DeviceBytes table(pages.table);
  for (int64_t k_dim : {64, 6, 1100}) {
    for (DType type : testing::kFloats) {
      for (DType cache_type : testing::kFloats) {
        const int64_t heads = 3, v_dim = k_dim - 1;
        const auto k = TestMatrix(step.T(), heads * k_dim, type, 8).random(4);
        const auto v = TestMatrix(step.T(), heads * v_dim, type, 1).random(5);
        TestCache cache(cache_type, heads, k_dim, v_dim);
        const DeviceBytes device(cache.bytes);
        const DeviceMatrix dk(k), dv(v);
        cpu::kvWrite(
            pool, k.view(), v.view(), cache.on(cache.bytes.data()),
            {std::span(step.starts).first(4), step.positions, pages.table.data(), pages.stride});
        kvWrite(on, dk.view(), dv.view(), cache.on(device.as()), step.view(),
                {table.as<int32_t>(), pages.stride});
        EXPECT_EQ(cudaGetLastError(), cudaSuccess);
        // Everywhere: nothing is written beside the tokens' slots, nor for padding.
        EXPECT_EQ(device.download<std::byte>(), cache.bytes);
      }
    }
  }
}

// All of a layer at once, as the kernels do it one after the other.
TEST_F(Rope, RopeAndWrite) {
  const TestPages pages;
  const DeviceBytes table(pages.table);
  const DeviceBytes f(frequencies(32, 10000)), other(frequencies(16, 10000));
  struct Layer {
    Turn q, k;
    int64_t q_heads, k_heads, v_dim;
  };
  // Alike, with few columns turning, and with keys of other angles than queries.
  const Layer layers[] = {{{64, 0, 32}, {64, 0, 32}, 6, 2, 64},
                          {{80, 8, 32, true}, {80, 8, 32, true}, 4, 4, 24},
                          {{96, 32, 32}, {48, 0, 16}, 5, 1, 7}};
  for (const Layer& layer : layers) {
    for (DType type : testing::kFloats) {
      for (const auto& [keep, cache_type] :
           {std::pair(false, type), std::pair(true, type), std::pair(false, DType::kF16)}) {
        const auto q = TestMatrix(step.T(), layer.q_heads * layer.q.head_dim, type, 8).random(1);
        const auto k = TestMatrix(step.T(), layer.k_heads * layer.k.head_dim, type, 8).random(2);
        const auto v = TestMatrix(step.T(), layer.k_heads * layer.v_dim, type, 8).random(3);
        const TestCache cache(cache_type, layer.k_heads, layer.k.head_dim, layer.v_dim);
        const DeviceBytes apart(cache.bytes), together(cache.bytes);
        const DeviceMatrix dq(q), dk(k), dv(v);
        const PagesView view{table.as<int32_t>(), pages.stride};
        const RopeShape q_shape = shape(layer.q, f, nullptr);
        const RopeShape k_shape = shape(layer.k, layer.k.half == 32 ? f : other, nullptr);

        const DeviceMatrix q_apart(q), k_apart(k), q_out(q), k_out(k);
        rope(on, dq.view(), step.view(), q_shape, q_apart.view());
        rope(on, dk.view(), step.view(), k_shape, k_apart.view());
        kvWrite(on, k_apart.view(), dv.view(), cache.on(apart.as()), step.view(), view);
        const Matrix k_view = k_out.view();
        ropeAndWrite(on, dq.view(), q_shape, q_out.view(), dk.view(), k_shape,
                     keep ? &k_view : nullptr, dv.view(), cache.on(together.as()), step.view(),
                     view);
        EXPECT_EQ(q_out.download(), q_apart.download());
        EXPECT_EQ(k_out.download(), keep ? k_apart.download() : k);
        EXPECT_EQ(together.download<std::byte>(), apart.download<std::byte>());
      }
    }
  }
}

}  // namespace
}  // namespace dcc::cuda
