// route: a token's experts and how much of each it takes. All in f32, in an order that depends on
// nothing but the token's own logits, so that every rank chooses alike.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "runtime/backends/cpu/kernels.h"

namespace dcc::cpu {
namespace {

// Scores may all be too small for f32.
constexpr float kTiny = 1e-20f;
constexpr float kNone = -std::numeric_limits<float>::infinity();

// Room for one token; E experts.
struct RouteRow {
  std::vector<float> scores, choice;  // [E]
  std::vector<float> groups;          // [groups]
  std::vector<float> group;           // [E / groups]

  RouteRow(int64_t experts, const RouteShape& shape)
      : scores(experts), choice(experts), groups(shape.groups), group(experts / shape.groups) {}
};

void score(plan::Scores scores, float* x, int64_t n) {
  if (scores == plan::Scores::kSigmoid) {
    for (int64_t e = 0; e < n; ++e) x[e] = 1 / (1 + std::exp(-x[e]));
    return;
  }
  const float most = *std::max_element(x, x + n);
  float sum = 0;
  for (int64_t e = 0; e < n; ++e) sum += x[e] = std::exp(x[e] - most);
  for (int64_t e = 0; e < n; ++e) x[e] /= sum;
}

// The index of the largest, the first of equals.
int64_t largest(const std::vector<float>& x) {
  return std::max_element(x.begin(), x.end()) - x.begin();
}

// Takes the experts of all but the `live` best groups out of the choice.
void closeGroups(const RouteShape& shape, RouteRow& row) {
  const auto size = static_cast<int64_t>(row.group.size());
  for (int64_t g = 0; g < shape.groups; ++g) {
    const auto begin = row.choice.begin() + g * size;
    std::partial_sort_copy(begin, begin + size, row.group.begin(), row.group.begin() + shape.best,
                           std::greater<>());
    row.groups[g] = 0;
    for (int64_t i = 0; i < shape.best; ++i) row.groups[g] += row.group[i];
  }
  std::vector<float>& closed = row.groups;  // all that remain once the best are taken
  for (int64_t i = 0; i < shape.live; ++i) closed[largest(closed)] = kNone;
  for (int64_t g = 0; g < shape.groups; ++g) {
    if (closed[g] == kNone) continue;
    std::fill_n(row.choice.begin() + g * size, size, kNone);
  }
}

void routeRow(const RouteShape& shape, RouteRow& row, float* out) {
  const auto experts = static_cast<int64_t>(row.scores.size());
  score(shape.scores, row.scores.data(), experts);
  row.choice = row.scores;
  if (shape.bias != nullptr) {
    for (int64_t e = 0; e < experts; ++e) row.choice[e] += shape.bias[e];
  }
  if (shape.groups > 1) closeGroups(shape, row);
  std::fill_n(out, experts, 0.0f);
  float sum = 0;
  for (int64_t i = 0; i < shape.k; ++i) {
    const int64_t e = largest(row.choice);
    row.choice[e] = kNone;
    sum += out[e] = row.scores[e];
  }
  const float factor = shape.normalize ? shape.scale / (sum + kTiny) : shape.scale;
  for (int64_t e = 0; e < experts; ++e) out[e] *= factor;
}

}  // namespace

void route(ThreadPool& pool, const Matrix& logits, const RouteShape& shape, const Matrix& out) {
  pool.forRanges(logits.rows, rowGrain(logits.cols * shape.k), [&](int64_t begin, int64_t end) {
    RouteRow row(logits.cols, shape);
    for (int64_t r = begin; r < end; ++r) {
      toF32(logits.dtype, logits.at(r, 0), row.scores.data(), logits.cols);
      routeRow(shape, row, out.f32(r));
    }
  });
}

}  // namespace dcc::cpu
