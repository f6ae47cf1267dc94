// The CPU's kernels as functions of matrices. What each computes: runtime/plan/kernels.h. All work
// in f32; matrices may be f32, bf16 or f16 and are converted as they are read and written. Shapes
// agree: the plan's verifier has checked them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/backends/cpu/matrix.h"
#include "runtime/backends/cpu/thread_pool.h"
#include "runtime/backends/shapes.h"
#include "runtime/plan/kernels.h"

namespace dcc::cpu {

// The step's sequences and their pages of one group (runtime/executor/step.h).
struct SequenceView {
  std::span<const int32_t> starts;     // [B + 1]
  std::span<const int32_t> positions;  // [T]
  const int32_t* pages = nullptr;      // [B, stride]
  int64_t stride = 0;

  int64_t count() const { return static_cast<int64_t>(starts.size()) - 1; }
  int64_t page(int64_t sequence, int64_t index) const { return pages[sequence * stride + index]; }
};

// Cosines and sines of each token's angles, [T, half] each.
struct RotaryView {
  const float* cos = nullptr;
  const float* sin = nullptr;
  int64_t half = 0;
};

void embedding(ThreadPool& pool, const int32_t* tokens, const WeightView& weight,
               const Matrix& out);

void rmsNorm(ThreadPool& pool, const Matrix& x, const float* weight, float eps, int64_t head_dim,
             const Matrix& out);
void addRmsNorm(ThreadPool& pool, const Matrix& x, const Matrix& y, const float* weight, float eps,
                const Matrix& sum, const Matrix& out);

void unitNorm(ThreadPool& pool, const Matrix& x, float eps, int64_t head_dim, const Matrix& out);
// `weight`: x.cols values, block after block; bias as many, or null.
void layerNorm(ThreadPool& pool, const Matrix& x, const float* weight, const float* bias, float eps,
               int64_t head_dim, const Matrix& out);

// Columns from `first` on turn. head_dim <= kBlock.
void rope(ThreadPool& pool, const Matrix& x, const RotaryView& angles, int64_t head_dim,
          int64_t first, bool interleaved, const Matrix& out);

void kvWrite(ThreadPool& pool, const Matrix& k, const Matrix& v, const CacheView& cache,
             const SequenceView& seqs);

// A token's result does not depend on the other tokens of the step. `scratch`:
// plan::attentionWorkspaceBytes().
void attention(ThreadPool& pool, const Matrix& q, const CacheView& cache, const SequenceView& seqs,
               const AttentionShape& shape, const Matrix& out, std::byte* scratch);
// Tokens see all of their sequence, whose rows of k and v are `starts`' [B + 1].
void selfAttention(ThreadPool& pool, const Matrix& q, const Matrix& k, const Matrix& v,
                   std::span<const int32_t> starts, const AttentionShape& shape, const Matrix& out,
                   std::byte* scratch);

void add(ThreadPool& pool, const Matrix& x, const Matrix& y, const Matrix& out);
void addRow(const Matrix& x, const Matrix& y, const Matrix& out, int64_t row);  // one row of add
void mul(ThreadPool& pool, const Matrix& x, const Matrix& y, const Matrix& out);
void addBias(ThreadPool& pool, const Matrix& x, const float* bias, const Matrix& out);
void activation(ThreadPool& pool, plan::Function function, const Matrix& x, const Matrix& out);
void gatedActivation(ThreadPool& pool, plan::Function function, const Matrix& gate,
                     const Matrix& up, const Matrix& out);

void scale(ThreadPool& pool, const Matrix& x, float factor, const Matrix& out);
void scaleRows(ThreadPool& pool, const Matrix& x, const Matrix& factors, const Matrix& out);
void softCap(ThreadPool& pool, const Matrix& x, float cap, const Matrix& out);
// `positions` of the rows.
void temperature(ThreadPool& pool, const Matrix& x, const int32_t* positions, float scale,
                 int64_t floor, const Matrix& out);

void sliceHeads(ThreadPool& pool, const Matrix& x, int64_t head_dim, int64_t first, int64_t size,
                const Matrix& out);
void extendHeads(ThreadPool& pool, const Matrix& x, const Matrix& y, int64_t head_dim,
                 const Matrix& out);

void route(ThreadPool& pool, const Matrix& logits, const RouteShape& shape, const Matrix& out);

struct Experts : ExpertWeights {
  // Sums over experts kept apart, by equal parts of down's columns or by groups of experts, and
  // added as a tree; one of the two is 1.
  int64_t chunks = 1, groups = 1;

  int64_t sums() const { return std::max(chunks, groups); }
};
// A token's result does not depend on the other tokens of the step. `scratch`:
// plan::ExpertsWorkspace for x's bound of rows, `room`.
void experts(ThreadPool& pool, const Matrix& x, const Matrix& gates, const Experts& weights,
             const Matrix& out, std::byte* scratch, int64_t room);

// One row for each of the sequences that `starts` [B + 1] says.
void lastToken(const Matrix& x, std::span<const int32_t> starts, const Matrix& out);
void firstToken(const Matrix& x, std::span<const int32_t> starts, const Matrix& out);
void meanTokens(const Matrix& x, std::span<const int32_t> starts, const Matrix& out);
// `ranges`: begin, end, begin, end, ... columns of x.
void sliceColumns(const Matrix& x, std::span<const int64_t> ranges, const Matrix& out);
// Part `part` of `parts` of the rows, cut as evenly as it goes.
void sliceRows(const Matrix& x, int64_t part, int64_t parts, const Matrix& out);

}  // namespace dcc::cpu
