// The GPU's kernels as functions of matrices in device memory, each a launch or few in a stream.
// What each computes: runtime/plan/kernels.h. All work in f32; matrices may be f32, bf16 or f16.
// Shapes agree: the plan's verifier has checked them. Nothing here takes memory or waits, so all of
// it can be captured in a graph. An error of a launch stays with the runtime (cudaGetLastError).
//
// A graph is captured for so many rows, `rows` of its matrices, and a step may fill fewer: rows
// behind the step's are padding (StepView), of which results don't matter, but nothing may be
// written to a cache.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/backends/cuda/cuda.h"
#include "runtime/backends/shapes.h"
#include "runtime/backends/views.h"
#include "runtime/plan/functions.h"

namespace dcc::cuda {

// The step in device memory; T and B are those of the matrices' rows, at least the step's own.
struct StepView {
  const int32_t* tokens = nullptr;        // [T]; 0 of padding
  const int32_t* positions = nullptr;     // [T]; 0 of padding
  const int32_t* types = nullptr;         // [T]
  const int32_t* sequences = nullptr;     // [T]: whose token it is; -1 of padding
  const int32_t* starts = nullptr;        // [B + 1]; sequences of padding have no tokens
  const int32_t* rope_lengths = nullptr;  // [B]
  int64_t T = 0, B = 0;
  // Tokens of one sequence at most, in this step.
  int64_t longest = 0;
};

// One page group's page table in device memory, [B, stride].
struct PagesView {
  const int32_t* pages = nullptr;
  int64_t stride = 0;
};

// out[t] = weight[tokens[t] - row_origin], zeros where that row is not ours.
void embedding(const Launch& on, const int32_t* tokens, const WeightView& weight,
               const Matrix& out);

// ---- norms: a block of threads per row (or per block of head_dim columns)
// Columns over which a norm runs (a row's, or head_dim), at most.
inline constexpr int64_t kNormColumns = 32768;
void rmsNorm(const Launch& on, const Matrix& x, const float* weight, float eps, int64_t head_dim,
             const Matrix& out);
void addRmsNorm(const Launch& on, const Matrix& x, const Matrix& y, const float* weight, float eps,
                const Matrix& sum, const Matrix& out);
void unitNorm(const Launch& on, const Matrix& x, float eps, int64_t head_dim, const Matrix& out);
// `weight`: x.cols values, block after block; bias as many, or null.
void layerNorm(const Launch& on, const Matrix& x, const float* weight, const float* bias, float eps,
               int64_t head_dim, const Matrix& out);

// Heads have at most so many columns.
inline constexpr int64_t kMaxHeadDim = 1024;

// ---- rotary positions

// A kernel's frequencies in device memory. Which sequences use `beyond`: runtime/plan/kernels.h.
struct RopeShape {
  const float* frequencies = nullptr;  // [half]
  const float* beyond = nullptr;       // [half], or null
  int64_t half = 0;
  float scale = 1;
  int64_t original_positions = 0;  // 0: none
  double theta = 0, factor = 0;    // dynamic NTK scaling, where theta is not 0
  int64_t head_dim = 0, first = 0;
  bool interleaved = false;
};
void rope(const Launch& on, const Matrix& x, const StepView& step, const RopeShape& shape,
          const Matrix& out);
void kvWrite(const Launch& on, const Matrix& k, const Matrix& v, const CacheView& cache,
             const StepView& step, const PagesView& pages);
// rope of q and of k, and kvWrite of the latter's result, in one launch: what comes together in
// every layer. k's rotated values are written to the cache only where `k_out` is null.
void ropeAndWrite(const Launch& on, const Matrix& q, const RopeShape& q_shape, const Matrix& q_out,
                  const Matrix& k, const RopeShape& k_shape, const Matrix* k_out, const Matrix& v,
                  const CacheView& cache, const StepView& step, const PagesView& pages);

// ---- attention
// One token of each sequence: keys and values read at the memory's speed, each once for the query
// heads that share them, long sequences split over blocks; how depends on a sequence's length, not
// on the others of the step. `scratch`: device memory, attentionScratchBytes(), 16-byte aligned; it
// needs Launch.counters. Any number of tokens: attention().
void decodeAttention(const Launch& on, const Matrix& q, const CacheView& cache,
                     const StepView& step, const PagesView& pages, const AttentionShape& shape,
                     const Matrix& out, std::byte* scratch);
// On tensor cores where types and sizes allow.
void attention(const Launch& on, const Matrix& q, const CacheView& cache, const StepView& step,
               const PagesView& pages, const AttentionShape& shape, const Matrix& out,
               std::byte* scratch);
// Tokens see all of their sequence, whose rows of k and v are `starts`' [B + 1].
void selfAttention(const Launch& on, const Matrix& q, const Matrix& k, const Matrix& v,
                   const StepView& step, const AttentionShape& shape, const Matrix& out);
// Of attention and decodeAttention for up to B sequences.
size_t attentionScratchBytes(int64_t B, int64_t q_heads, const CacheView& cache,
                             const AttentionShape& shape);

// ---- element by element
void add(const Launch& on, const Matrix& x, const Matrix& y, const Matrix& out);
void mul(const Launch& on, const Matrix& x, const Matrix& y, const Matrix& out);
void addBias(const Launch& on, const Matrix& x, const float* bias, const Matrix& out);
void activation(const Launch& on, plan::Function function, const Matrix& x, const Matrix& out);
void gatedActivation(const Launch& on, plan::Function function, const Matrix& gate,
                     const Matrix& up, const Matrix& out);
void scale(const Launch& on, const Matrix& x, float factor, const Matrix& out);
void scaleRows(const Launch& on, const Matrix& x, const Matrix& factors, const Matrix& out);
void softCap(const Launch& on, const Matrix& x, float cap, const Matrix& out);
// `positions` of the rows.
void temperature(const Launch& on, const Matrix& x, const int32_t* positions, float scale,
                 int64_t floor, const Matrix& out);
// out = x, converted where the types differ.
void copy(const Launch& on, const Matrix& x, const Matrix& out);

// ---- rows and columns
void sliceHeads(const Launch& on, const Matrix& x, int64_t head_dim, int64_t first, int64_t size,
                const Matrix& out);
void extendHeads(const Launch& on, const Matrix& x, const Matrix& y, int64_t head_dim,
                 const Matrix& out);
// One row for each sequence; zeros for one without tokens.
void lastToken(const Launch& on, const Matrix& x, const StepView& step, const Matrix& out);
void firstToken(const Launch& on, const Matrix& x, const StepView& step, const Matrix& out);
void meanTokens(const Launch& on, const Matrix& x, const StepView& step, const Matrix& out);
// Columns [begin, begin + out.cols) of x; a range of several goes as several calls.
void sliceColumns(const Launch& on, const Matrix& x, int64_t begin, const Matrix& out);
// Part `part` of `parts` of the rows, cut as evenly as it goes.
void sliceRows(const Launch& on, const Matrix& x, int64_t part, int64_t parts, const Matrix& out);

// ---- experts
// `live_rows`: how many of logits' rows are no padding, in device memory; gates of the others are
// 0. Null: all. At most kRouteExperts columns.
inline constexpr int64_t kRouteExperts = 4096;
void route(const Launch& on, const Matrix& logits, const RouteShape& shape,
           const int32_t* live_rows, const Matrix& out);

struct Experts : ExpertWeights {
  // Gates of a row that are not 0, at most: route's k. 0: not known, all may be.
  int64_t chosen = 0;
};
// Reads of the weights only those of experts that a row asks for. `scratch`: expertsScratchBytes().
void experts(const Launch& on, const Matrix& x, const Matrix& gates, const Experts& weights,
             const Matrix& out, std::byte* scratch);
// For up to `rows` rows of x; `width` and `out` are down's columns and an expert's rows of it.
size_t expertsScratchBytes(int64_t rows, int64_t width, int64_t out, int64_t experts,
                           int64_t chosen);

// ---- products

// out[m, n] =
// sum_k a[m, k] * weight[n, k] (+ bias[n]), accumulated in f32.
//
// For 1 to kGemvRows rows: each weight read once, at the memory's speed.
inline constexpr int64_t kGemvRows = 8;
void gemv(const Launch& on, const Matrix& a, const WeightView& weight, const float* bias,
          const Matrix& out);
// gemv() of a weight whose first half of rows is gate and second half up, and the gated activation
// of both: out [m, n / 2].
void gatedGemv(const Launch& on, const Matrix& a, const WeightView& gate_up,
               plan::Function function, const Matrix& out);
// Any rows and any mixture of types, by tiles in shared memory: for what cuBLASLt does not do (f32
// activations with 16-bit weights) and where it is not installed.
void tiledGemm(const Launch& on, const Matrix& a, const WeightView& weight, const float* bias,
               const Matrix& out);

// ---- after the last layer

// Of each of these rows of f32 logits, [rows, columns]. `scratch`: argmaxScratchBytes(); zeroed
// once, left zeroed.
void argmax(const Launch& on, const Matrix& logits, Largest* out, std::byte* scratch);
size_t argmaxScratchBytes(int64_t rows, int64_t columns);

// ---- beside the work

// Writes `value` to pinned host memory when it is the stream's turn.
void mark(const Launch& on, uint32_t* host, uint32_t value);

// ---- weights that exist only as a seed

// `count` runs of elements of a file as runtime/weights/random.h draws it, and where they go: the
// fields of plan.fbs' Piece, offsets in elements.
struct RandomPiece {
  uint64_t seed = 0;
  float mean = 0, spread = 0;
  DType drawn = DType::kF32;  // what elements are rounded to before they become the weight's type
  uint64_t first = 0;         // element of the file that run 0 begins with
  uint64_t run = 0, count = 1;
  uint64_t source_stride = 0, source_step = 1;
  uint64_t dest_offset = 0, dest_stride = 0, dest_step = 1;
  float plus = 0;  // added in f32, of f32 weights
};
// Into a weight of this type, bit for bit what WeightLoader puts there.
void randomWeights(const Launch& on, const RandomPiece& piece, DType type, std::byte* weight);

}  // namespace dcc::cuda
