// What the kernels of experts() share: which rows ask for which experts, where that lies in
// scratch, and what is between an expert's products.
#pragma once

#include <algorithm>

#include "runtime/backends/cuda/functions.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/vectors.cuh"

namespace dcc::cuda {

// Requests are pairs of a row and an expert, made on the device. Those of a row are numbered in the
// experts' order, from row * chosen on, `chosen` at most; sorted they stand by expert, then by row.
struct ExpertLists {
  int64_t rows = 0, experts = 0, chosen = 0;
  int32_t* wanted = nullptr;  // [rows * chosen]: a request's expert, -1 where there is none
  int32_t* place = nullptr;   // [rows * chosen]: where it stands
  int32_t* sorted = nullptr;  // [rows * chosen]: the requests in that order
  int32_t* first = nullptr;   // [experts + 1]: where an expert's begin
};

// The lists of gates [rows, experts]. Of a row's gates that are not 0 only the first `chosen`
// count.
void makeExpertLists(const Launch& on, const Matrix& gates, const ExpertLists& lists);

// Up to `tile` requests for one expert, which stand one after the other.
struct ExpertTile {
  int32_t expert, begin, rows;  // rows 0: no such tile
};
// Tiles there can be, most of which may be empty.
inline int64_t expertTiles(const ExpertLists& lists, int64_t tile) {
  const int64_t requests = lists.rows * lists.chosen;
  return requests / tile + std::min(requests, lists.experts);
}
// Tile `index` when every expert's requests are cut into tiles of `tile`. By all lanes of a warp.
__device__ inline ExpertTile findTile(const ExpertLists& lists, int32_t tile, int32_t index) {
  const int lane = static_cast<int>(threadIdx.x % 32), experts = static_cast<int>(lists.experts);
  int32_t before = 0;  // tiles of the experts before these 32
  for (int from = 0; from < experts; from += 32) {
    const int e = from + lane;
    const int32_t begin = e < experts ? lists.first[e] : 0;
    const int32_t rows = e < experts ? lists.first[e + 1] - begin : 0;
    const int32_t tiles = (rows + tile - 1) / tile;
    int32_t last = tiles;  // tiles up to and with this expert's
    for (int step = 1; step < 32; step *= 2) {
      const int32_t left = __shfl_up_sync(~0u, last, step);
      if (lane >= step) last += left;
    }
    const int32_t own = index - before - (last - tiles);  // of this expert's tiles
    const unsigned found = __ballot_sync(~0u, own >= 0 && own < tiles);
    if (found != 0) {
      const int source = __ffs(static_cast<int>(found)) - 1;
      const ExpertTile here = {e, begin + own * tile, min(tile, rows - own * tile)};
      return {__shfl_sync(~0u, here.expert, source), __shfl_sync(~0u, here.begin, source),
              __shfl_sync(~0u, here.rows, source)};
    }
    before += __shfl_sync(~0u, last, 31);
  }
  return {0, 0, 0};
}

// The row's gate and up of a column of an expert's hidden values, as the products gave them.
__device__ inline float gatedValue(const Experts& w, int64_t expert, int64_t col, float factor,
                                   float gate, float up) {
  if (w.scaled_inputs) {
    gate *= factor;
    up *= factor;
  }
  const int64_t at = expert * w.down.cols + col;
  if (w.gate_bias != nullptr) gate += w.gate_bias[at];
  if (w.up_bias != nullptr) up += w.up_bias[at];
  if (w.limit <= 0) return applyFunction(w.function, gate) * up;
  gate = gate > w.limit ? w.limit : gate;
  up = up > w.limit ? w.limit : up < -w.limit ? -w.limit : up;
  return timesLogistic(gate, w.alpha * gate) * (up + 1);
}

// An expert's hidden values are bf16 where all that meets in its products is, else f32.
inline DType hiddenType(const Matrix& x, const Experts& w) {
  const bool bf16 = x.dtype == DType::kBF16 && w.gate.dtype == DType::kBF16 &&
                    w.up.dtype == DType::kBF16 && w.down.dtype == DType::kBF16;
  return bf16 ? DType::kBF16 : DType::kF32;
}

// All of experts() for up to kGemvRows rows; false, and nothing done, for types and alignments it
// does not take. `hidden` has out.rows rows for each expert that may be asked for.
bool expertsOfFewRows(const Launch& on, const Matrix& x, const Matrix& gates,
                      const Experts& weights, const Matrix& hidden, const Matrix& out);

// hidden[i, :] = what gatedValue() says of the i-th sorted request, and results[i, :] = hidden[i,
// :] down', for as many requests as there are. On tensor cores; false, and nothing done, for types
// and alignments that they don't take.
bool tensorHidden(const Launch& on, const Matrix& x, const Matrix& gates, const Experts& weights,
                  const ExpertLists& lists, const Matrix& hidden);
bool tensorResults(const Launch& on, const Matrix& hidden, const WeightView& down,
                   const ExpertLists& lists, const Matrix& results);

}  // namespace dcc::cuda
