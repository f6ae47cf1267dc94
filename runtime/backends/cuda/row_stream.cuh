// Few rows times many weights: what counts is that every weight is read once, at the memory's
// speed. Some warps share some rows of the weight; each thread has as many loads of 16 bytes of
// them under way as registers allow.
#pragma once

#include "runtime/backends/cuda/vectors.cuh"

namespace dcc::cuda {

// R weight rows of k elements, k in whole vectors. The thread takes the vectors at `at`, at + step,
// ..., of which D of each row are under way.
template <class W, int R, int D>
struct RowStream {
  const W* rows[R];
  int k, at, step;
  Bytes16 ahead[D][R];

  __device__ void begin() {
    DCC_UNROLL
    for (int u = 0; u < D; ++u) {
      DCC_UNROLL
      for (int j = 0; j < R; ++j) {
        if (at + u * step < k) ahead[u][j] = loadOnce(rows[j] + at + u * step);
      }
    }
  }
};

template <int N>
__device__ float dot(const float (&x)[N], const float (&y)[N]) {
  float sum = 0;
  DCC_UNROLL
  for (int i = 0; i < N; ++i) sum += x[i] * y[i];
  return sum;
}

// Adds to sums[m * R + j] this thread's part of the product of input m, inputRow(m) of type A, and
// the stream's row j. With kMasked only of inputs whose bit `live` has, the same in all lanes.
template <class A, int M, bool kMasked, class W, int R, int D, class InputRow>
__device__ void multiplyStream(RowStream<W, R, D>& stream, InputRow inputRow, unsigned live,
                               float (&sums)[M * R]) {
  constexpr int kPer = kPerVector<W>;
  while (stream.at < stream.k) {
    DCC_UNROLL
    for (int u = 0; u < D && stream.at < stream.k; ++u, stream.at += stream.step) {
      const int next = stream.at + D * stream.step;
      const auto take = [&](int j, float(&w)[kPer]) {
        unpack<W>(stream.ahead[u][j], w);
        if (next < stream.k) stream.ahead[u][j] = loadOnce(stream.rows[j] + next);
      };
      if constexpr (kMasked) {
        float w[R][kPer];
        DCC_UNROLL
        for (int j = 0; j < R; ++j) take(j, w[j]);
        DCC_UNROLL
        for (int m = 0; m < M; ++m) {
          if ((live >> m & 1) == 0) continue;
          float x[kPer];
          loadVectors<A>(inputRow(m) + stream.at, x);
          DCC_UNROLL
          for (int j = 0; j < R; ++j) sums[m * R + j] += dot(x, w[j]);
        }
      } else {
        // All inputs' loads go before the first use of one.
        float x[M][kPer];
        DCC_UNROLL
        for (int m = 0; m < M; ++m) loadVectors<A>(inputRow(m) + stream.at, x[m]);
        DCC_UNROLL
        for (int j = 0; j < R; ++j) {
          float w[kPer];
          take(j, w);
          DCC_UNROLL
          for (int m = 0; m < M; ++m) sums[m * R + j] += dot(x[m], w);
        }
      }
    }
  }
}

}  // namespace dcc::cuda
