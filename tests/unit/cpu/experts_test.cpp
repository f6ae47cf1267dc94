// route and experts, against plain code in double precision.
#include <algorithm>
#include <numeric>

#include "cpu_test_support.h"
#include "runtime/collectives/sum.h"
#include "runtime/plan/workspace.h"

namespace dcc::cpu {
namespace {

using testing::TestMatrix;

class Moe : public testing::PerSetting {
 protected:
  void run(const TestMatrix& x, const TestMatrix& gates, const Experts& weights, TestMatrix& out) {
    const int64_t room = x.view().rows + 3;
    const plan::ExpertsWorkspace workspace(room, x.view().cols, weights.down.cols, out.view().cols,
                                           weights.sums(), x.view().dtype, pool.threads());
    testing::Scratch scratch(workspace.bytes());
    experts(pool, x.view(), gates.view(), weights, out.view(), scratch.data(), room);
  }
};

// What route() says, the slow way: sorts instead of searching.
std::vector<double> routed(const TestMatrix& logits, int64_t r, const RouteShape& shape) {
  const int64_t n = logits.view().cols;
  std::vector<double> scores(n), choice(n), out(n);
  double sum = 0;
  for (int64_t e = 0; e < n; ++e) {
    scores[e] = shape.scores == plan::Scores::kSigmoid ? 1 / (1 + std::exp(-logits.at(r, e)))
                                                       : std::exp(logits.at(r, e));
    sum += scores[e];
  }
  for (int64_t e = 0; e < n; ++e) {
    if (shape.scores == plan::Scores::kSoftmax) scores[e] /= sum;
    choice[e] = scores[e] + (shape.bias ? shape.bias[e] : 0);
  }
  const int64_t size = n / shape.groups;
  std::vector<std::pair<double, int64_t>> groups;
  for (int64_t g = 0; g < shape.groups; ++g) {
    std::vector<double> own(choice.begin() + g * size, choice.begin() + (g + 1) * size);
    std::sort(own.rbegin(), own.rend());
    groups.emplace_back(-std::accumulate(own.begin(), own.begin() + shape.best, 0.0), g);
  }
  std::sort(groups.begin(), groups.end());
  std::vector<std::pair<double, int64_t>> open;
  for (int64_t i = 0; i < (shape.groups > 1 ? shape.live : 1); ++i) {
    for (int64_t e = groups[i].second * size; e < (groups[i].second + 1) * size; ++e) {
      open.emplace_back(-choice[e], e);
    }
  }
  std::sort(open.begin(), open.end());
  double chosen = 0;
  for (int64_t i = 0; i < shape.k; ++i) chosen += scores[open[i].second];
  for (int64_t i = 0; i < shape.k; ++i) {
    const int64_t e = open[i].second;
    out[e] = scores[e] * shape.scale / (shape.normalize ? chosen : 1);
  }
  return out;
}

TEST_P(Moe, Routes) {
  const auto bias = TestMatrix(1, 24).random(3, 0.3f);
  RouteShape plain{.k = 3};
  RouteShape normalized{.k = 3, .normalize = true, .scale = 2.5f};
  RouteShape sigmoid{.k = 1, .scores = plan::Scores::kSigmoid};
  RouteShape grouped{.k = 5,
                     .scores = plan::Scores::kSigmoid,
                     .normalize = true,
                     .scale = 2.5f,
                     .groups = 6,
                     .live = 3,
                     .best = 2,
                     .bias = bias.f32()};
  RouteShape all{.k = 24, .normalize = true};
  for (const RouteShape& shape : {plain, normalized, sigmoid, grouped, all}) {
    for (DType type : testing::kFloats) {
      const auto logits = TestMatrix(37, 24, type, 3).random(17, 4);
      TestMatrix out(37, 24, DType::kF32, 2);
      route(pool, logits.view(), shape, out.view());
      testing::expectNear(
          out, [&](int64_t r, int64_t c) { return routed(logits, r, shape)[c]; }, 1e-5, 1e-9);
    }
  }
}

// Of equal scores the first experts are chosen, on every rank.
TEST_P(Moe, TiesGoToTheFirst) {
  TestMatrix logits(1, 8), out(1, 8);
  for (int64_t e = 0; e < 8; ++e) logits.set(0, e, e < 2 ? 0.0f : 1.0f);
  route(pool, logits.view(), {.k = 2, .normalize = true}, out.view());
  for (int64_t e = 0; e < 8; ++e) EXPECT_EQ(out.at(0, e), e == 2 || e == 3 ? 0.5 : 0.0) << e;
}

struct Layer {
  int64_t d = 40, width = 24, experts = 5, out = 40;
  TestMatrix gate, up, down, gate_bias, up_bias;
  Experts weights;

  explicit Layer(DType type)
      : gate(TestMatrix(experts * width, d, type).random(1)),
        up(TestMatrix(experts * width, d, type).random(2)),
        down(TestMatrix(experts * out, width, type).random(3)),
        gate_bias(TestMatrix(experts, width).random(4)),
        up_bias(TestMatrix(experts, width).random(5)) {
    weights.gate = gate.weight();
    weights.up = up.weight();
    weights.down = down.weight();
  }
  Layer(const Layer&) = delete;

  // The sum of the last product's terms, or of their absolute values.
  double result(const TestMatrix& x, const TestMatrix& gates, int64_t r, int64_t c,
                bool absolute = false) const {
    double sum = 0;
    for (int64_t e = 0; e < experts; ++e) {
      const double share = gates.at(r, e);
      if (share == 0) continue;
      double y = 0;
      for (int64_t i = 0; i < width; ++i) {
        double g = 0, u = 0;
        for (int64_t k = 0; k < d; ++k) {
          const double in = x.at(r, k) * (weights.scaled_inputs ? share : 1);
          g += in * gate.at(e * width + i, k);
          u += in * up.at(e * width + i, k);
        }
        if (weights.gate_bias) {
          g += gate_bias.at(e, i);
          u += up_bias.at(e, i);
        }
        const double limit = weights.limit;
        const double h = limit > 0 ? std::min(g, limit) /
                                         (1 + std::exp(-weights.alpha * std::min(g, limit))) *
                                         (std::clamp(u, -limit, limit) + 1)
                                   : g / (1 + std::exp(-g)) * u;
        const double term = h * down.at(e * out + c, i);
        y += absolute ? std::abs(term) : term;
      }
      sum += y * (weights.scaled_inputs ? 1 : share);
    }
    return sum;
  }
};

// Gates of `k` experts a token, as route() gives them.
TestMatrix someGates(int64_t rows, int64_t experts, int64_t k) {
  TestMatrix gates(rows, experts, DType::kF32, 1);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t e = 0; e < experts; ++e) {
      gates.set(r, e, (e - r % experts + experts) % experts < k ? 0.25f + 0.1f * e : 0.0f);
    }
  }
  return gates;
}

TEST_P(Moe, Experts) {
  for (DType type : testing::kFloats) {
    Layer layer(type);
    for (int variant = 0; variant < 4; ++variant) {
      Experts& w = layer.weights;
      w.scaled_inputs = variant == 1;
      w.gate_bias = variant >= 2 ? layer.gate_bias.f32() : nullptr;
      w.up_bias = variant >= 2 ? layer.up_bias.f32() : nullptr;
      w.limit = variant == 3 ? 1.5f : 0;
      w.alpha = variant == 3 ? 1.702f : 0;
      const auto x = TestMatrix(13, layer.d, type, 5).random(7);
      const auto gates = someGates(13, layer.experts, 2);
      TestMatrix out(13, layer.out, DType::kF32, 3);
      run(x, gates, w, out);
      for (int64_t r = 0; r < 13; ++r) {
        for (int64_t c = 0; c < layer.out; ++c) {
          // With bf16 what comes out of the gates is rounded on its way to the last product.
          const double rounded = type == DType::kBF16 ? testing::roundoff(type) : 1e-5;
          ASSERT_NEAR(out.at(r, c), layer.result(x, gates, r, c),
                      1e-4 + rounded * layer.result(x, gates, r, c, true))
              << "row " << r << ", column " << c;
        }
      }
      EXPECT_TRUE(out.guardsIntact());
    }
  }
}

// Experts that nobody chose, and one that everybody did.
TEST_P(Moe, EmptyAndFullExperts) {
  Layer layer(DType::kF32);
  const auto x = TestMatrix(9, layer.d).random(7);
  TestMatrix gates(9, layer.experts), out(9, layer.out);
  for (int64_t r = 0; r < 9; ++r) {
    for (int64_t e = 0; e < layer.experts; ++e) gates.set(r, e, e == 3 ? 1.0f : 0.0f);
  }
  run(x, gates, layer.weights, out);
  testing::expectNear(
      out, [&](int64_t r, int64_t c) { return layer.result(x, gates, r, c); }, 1e-5, 1e-4);
  for (int64_t r = 0; r < 9; ++r) gates.set(r, 3, 0);
  run(x, gates, layer.weights, out);
  testing::expectNear(
      out, [](int64_t, int64_t) { return 0.0; }, 0, 0);
}

// A token's bits are its own: alone, and among others.
TEST_P(Moe, ATokensResultIsItsOwn) {
  Layer layer(DType::kBF16);
  for (const DType type : {DType::kF32, DType::kBF16}) {
    const auto x = TestMatrix(21, layer.d, type).random(7);
    const auto gates = someGates(21, layer.experts, 3);
    TestMatrix all(21, layer.out);
    run(x, gates, layer.weights, all);
    for (int64_t r = 0; r < 21; ++r) {
      TestMatrix one(1, layer.d, type), gate(1, layer.experts), out(1, layer.out);
      for (int64_t c = 0; c < layer.d; ++c) one.set(0, c, static_cast<float>(x.at(r, c)));
      for (int64_t e = 0; e < layer.experts; ++e)
        gate.set(0, e, static_cast<float>(gates.at(r, e)));
      run(one, gate, layer.weights, out);
      for (int64_t c = 0; c < layer.out; ++c)
        ASSERT_EQ(out.at(0, c), all.at(r, c)) << r << " " << c;
    }
  }
}

// Rows [first, first + rows) of each of `blocks` blocks of rows, and columns [col, col + cols).
TestMatrix cutOf(const TestMatrix& all, int64_t blocks, int64_t first, int64_t rows, int64_t col,
                 int64_t cols) {
  const int64_t block = all.view().rows / blocks;
  TestMatrix out(blocks * rows, cols);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        out.set(b * rows + r, c, static_cast<float>(all.at(b * block + first + r, col + c)));
      }
    }
  }
  return out;
}

// The ranks' results added as a tree have the bits of one rank that has all, whether each has a
// part of every expert or some experts.
TEST_P(Moe, SumsKeptApartAreATreeThatRanksMayCut) {
  const int64_t d = 40, width = 24, count = 8, rows = 13;
  const auto gate = TestMatrix(count * width, d).random(1),
             up = TestMatrix(count * width, d).random(2),
             down = TestMatrix(count * d, width).random(3), x = TestMatrix(rows, d).random(7);
  const TestMatrix gates = someGates(rows, count, 3);
  for (const bool by_experts : {false, true}) {
    auto runPart = [&](int64_t rank, int64_t ranks) {
      const int64_t w = width / ranks, n = count / ranks;
      const TestMatrix g = by_experts ? cutOf(gate, 1, rank * n * width, n * width, 0, d)
                                      : cutOf(gate, count, rank * w, w, 0, d);
      const TestMatrix u = by_experts ? cutOf(up, 1, rank * n * width, n * width, 0, d)
                                      : cutOf(up, count, rank * w, w, 0, d);
      const TestMatrix o = by_experts ? cutOf(down, 1, rank * n * d, n * d, 0, width)
                                      : cutOf(down, count, 0, d, rank * w, w);
      const TestMatrix own =
          by_experts ? cutOf(gates, 1, 0, rows, rank * n, n) : cutOf(gates, 1, 0, rows, 0, count);
      Experts weights;
      weights.gate = g.weight();
      weights.up = u.weight();
      weights.down = o.weight();
      (by_experts ? weights.groups : weights.chunks) = 8 / ranks;
      TestMatrix out(rows, d);
      run(x, own, weights, out);
      return out;
    };
    const TestMatrix whole = runPart(0, 1);
    for (int64_t ranks : {2, 4, 8}) {
      std::vector<TestMatrix> parts;
      std::vector<const float*> addends;
      for (int64_t r = 0; r < ranks; ++r) parts.push_back(runPart(r, ranks));
      for (const TestMatrix& part : parts) addends.push_back(part.f32());
      TestMatrix sum(rows, d);
      sumInTree(addends, sum.view().f32(0), rows * d);
      EXPECT_TRUE(sum == whole) << ranks << " ranks, by experts " << by_experts;
    }
  }
}

DCC_PER_SETTING(Moe);

}  // namespace
}  // namespace dcc::cpu
