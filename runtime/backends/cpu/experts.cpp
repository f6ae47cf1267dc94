// experts: one expert after the other, its tokens gathered, its three products, its results added
// to the tokens' sums. A product's row does not depend on the others, and a token's sum runs over
// the experts in order: a token's result is its own. Where the plan keeps sums apart, so that ranks
// which have some of them make the same ones, they are added at the end.
#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/backends/cpu/gemm.h"
#include "runtime/backends/cpu/kernels.h"
#include "runtime/collectives/sum.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/workspace.h"

namespace dcc::cpu {
namespace {

// Rows without gaps.
Matrix dense(float* data, int64_t rows, int64_t cols, DType type = DType::kF32) {
  return {reinterpret_cast<std::byte*>(data), type, rows, cols, cols};
}

// What the products read: bf16 if all that meets in them is bf16, which has instructions of its
// own.
DType inputType(const Matrix& x, const Experts& weights) {
  const auto bf16 = [](DType type) { return type == DType::kBF16; };
  const bool all = bf16(x.dtype) && bf16(weights.gate.dtype) && bf16(weights.up.dtype) &&
                   bf16(weights.down.dtype);
  return all ? DType::kBF16 : DType::kF32;
}

// The tokens' rows of x, each times its factor.
template <class Factor>
void gather(ThreadPool& pool, const Matrix& x, const int32_t* tokens, Factor&& factor,
            const Matrix& to) {
  pool.forRanges(to.rows, rowGrain(to.cols), [&](int64_t begin, int64_t end) {
    Reader reader(x);
    Writer writer(to);
    for (int64_t i = begin; i < end; ++i) {
      const float f = factor(tokens[i]);
      forBlocks(to.cols, [&](int64_t col, int64_t n) {
        const float* from = reader.read(tokens[i], col, n);
        float* out = writer.begin(i, col, n);
        for (int64_t c = 0; c < n; ++c) out[c] = f * from[c];
        writer.end();
      });
    }
  });
}

// Brings rows of f32 to a type in their own place; they keep their distance.
Matrix converted(ThreadPool& pool, const Matrix& m, DType type) {
  if (type == DType::kF32) return m;
  Matrix to = m;
  to.dtype = type;
  to.stride = m.stride * static_cast<int64_t>(sizeof(float) / byteSize(type));
  pool.forRanges(m.rows, rowGrain(m.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) fromF32(m.f32(r), type, to.at(r, 0), m.cols);
  });
  return to;
}

// The matrix of one expert.
WeightView matrixOf(const WeightView& all, int64_t expert, int64_t rows) {
  WeightView one = all;
  one.data = all.row(expert * rows);
  one.rows = rows;
  return one;
}

// Part `part` of `parts` of the columns.
template <class View>
View columnsOf(const View& all, int64_t part, int64_t parts) {
  View some = all;
  some.cols = all.cols / parts;
  some.data += part * some.cols * static_cast<int64_t>(byteSize(all.dtype));
  return some;
}

// gate = min(gate, limit) sigmoid(alpha gate) (clamp(up) + 1)
void clampedGate(ThreadPool& pool, const Matrix& gate, const Matrix& up, float limit, float alpha) {
  pool.forRanges(gate.rows, rowGrain(gate.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* g = gate.f32(r);
      const float* u = up.f32(r);
      for (int64_t i = 0; i < gate.cols; ++i) {
        const float x = std::min(g[i], limit);
        g[i] = x / (1 + std::exp(-alpha * x)) * (std::clamp(u[i], -limit, limit) + 1);
      }
    }
  });
}

// The tokens of one expert.
struct Tokens {
  int32_t* rows;
  int64_t count;
};

Tokens tokensOf(const Matrix& gates, int64_t expert, int32_t* rows) {
  Tokens tokens{rows, 0};
  for (int64_t r = 0; r < gates.rows; ++r) {
    if (gates.f32(r)[expert] != 0) tokens.rows[tokens.count++] = static_cast<int32_t>(r);
  }
  return tokens;
}

}  // namespace

void experts(ThreadPool& pool, const Matrix& x, const Matrix& gates, const Experts& weights,
             const Matrix& out, std::byte* scratch, int64_t room) {
  const int64_t d = x.cols, width = weights.down.cols;
  const plan::ExpertsWorkspace workspace(room, d, width, out.cols, weights.sums(), x.dtype,
                                         pool.threads());
  float* const gathered = reinterpret_cast<float*>(scratch);
  float* const hidden = gathered + workspace.x;
  float* const other = hidden + workspace.hidden;
  float* const results = other + workspace.hidden;
  float* const sums = results + workspace.result;
  auto* const places = reinterpret_cast<int32_t*>(sums + workspace.sums);
  auto* const product = reinterpret_cast<std::byte*>(places + workspace.places);

  const DType type = inputType(x, weights);
  const int64_t count = weights.sums();
  const auto sumOf = [&](int64_t i, int64_t row) {
    return count == 1 ? out.f32(row) : sums + (i * out.rows + row) * out.cols;
  };

  pool.forRanges(out.rows, rowGrain(out.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t i = 0; i < count; ++i) std::fill_n(sumOf(i, r), out.cols, 0.0f);
    }
  });
  for (int64_t e = 0; e < gates.cols; ++e) {
    const Tokens tokens = tokensOf(gates, e, places);
    if (tokens.count == 0) continue;
    const Matrix in = dense(gathered, tokens.count, d, type);
    gather(
        pool, x, tokens.rows,
        [&](int32_t row) { return weights.scaled_inputs ? gates.f32(row)[e] : 1.0f; }, in);
    const auto biasOf = [&](const float* all) { return all ? all + e * width : nullptr; };
    const Matrix gate = dense(hidden, tokens.count, width);
    const Matrix up = dense(other, tokens.count, width);
    gemm(pool, in, matrixOf(weights.gate, e, width), biasOf(weights.gate_bias), 1, gate, product);
    gemm(pool, in, matrixOf(weights.up, e, width), biasOf(weights.up_bias), 1, up, product);
    if (weights.limit > 0) {
      clampedGate(pool, gate, up, weights.limit, weights.alpha);
    } else {
      gatedActivation(pool, weights.function, gate, up, gate);
    }
    const Matrix gated = converted(pool, gate, type);
    const Matrix result = dense(results, tokens.count, out.cols);
    for (int64_t chunk = 0; chunk < weights.chunks; ++chunk) {
      gemm(pool, columnsOf(gated, chunk, weights.chunks),
           columnsOf(matrixOf(weights.down, e, out.cols), chunk, weights.chunks), nullptr, 1,
           result, product);
      const int64_t sum = weights.groups > 1 ? e / (gates.cols / weights.groups) : chunk;
      pool.forRanges(tokens.count, rowGrain(out.cols), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const float factor = weights.scaled_inputs ? 1 : gates.f32(tokens.rows[i])[e];
          float* to = sumOf(sum, tokens.rows[i]);
          for (int64_t c = 0; c < out.cols; ++c) to[c] += factor * result.f32(i)[c];
        }
      });
    }
  }
  if (count == 1) return;
  pool.forRanges(out.rows, rowGrain(out.cols), [&](int64_t begin, int64_t end) {
    std::array<const float*, plan::kMaxChunks> parts;
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t i = 0; i < count; ++i) parts[i] = sumOf(i, r);
      sumInTree(std::span(parts).first(count), out.f32(r), out.cols);
    }
  });
}

}  // namespace dcc::cpu
