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
  // Row j's u-th vector, in whose place that at `next` is then under way.
  __device__ void take(int u, int j, int next, float (&w)[kPerVector<W>]) {
    unpack<W>(ahead[u][j], w);
    if (next < k) ahead[u][j] = loadOnce(rows[j] + next);
  }
};

template <int N>
__device__ float dot(const float (&x)[N], const float (&y)[N]) {
  float sum = 0;
  DCC_UNROLL
  for (int i = 0; i < N; ++i) sum += x[i] * y[i];
  return sum;
}

// One input's elements that meet a vector of W.
template <class W, class A>
struct InputVectors {
  static constexpr int kVectors = kPerVector<W> / kPerVector<A>;
  Bytes16 vectors[kVectors];

  __device__ void load(const A* at) {
    DCC_UNROLL
    for (int i = 0; i < kVectors; ++i) vectors[i] = loadVector(at + i * kPerVector<A>);
  }
  __device__ void unpackTo(float (&x)[kPerVector<W>]) const {
    DCC_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      float part[kPerVector<A>];
      unpack<A>(vectors[i], part);
      DCC_UNROLL
      for (int j = 0; j < kPerVector<A>; ++j) x[i * kPerVector<A> + j] = part[j];
    }
  }
};

// Adds to sums[m * R + j] this thread's part of the product of input m, inputRow(m) of type A, and
// the stream's row j. Of one or two inputs as much is under way as of the weights.
template <class A, int M, class W, int R, int D, class InputRow>
__device__ void multiplyStream(RowStream<W, R, D>& stream, InputRow inputRow,
                               float (&sums)[M * R]) {
  constexpr int kPer = kPerVector<W>, kAhead = M <= 2 ? D : 1;
  InputVectors<W, A> inputs[kAhead][M];
  const auto fetch = [&](InputVectors<W, A>(&to)[M], int at) {
    DCC_UNROLL
    for (int m = 0; m < M; ++m) to[m].load(inputRow(m) + at);
  };
  if constexpr (kAhead == D) {
    DCC_UNROLL
    for (int u = 0; u < D; ++u) {
      if (stream.at + u * stream.step < stream.k) fetch(inputs[u], stream.at + u * stream.step);
    }
  }
  while (stream.at < stream.k) {
    DCC_UNROLL
    for (int u = 0; u < D && stream.at < stream.k; ++u, stream.at += stream.step) {
      const int next = stream.at + D * stream.step;
      if constexpr (kAhead < D) fetch(inputs[0], stream.at);
      float x[M][kPer];
      DCC_UNROLL
      for (int m = 0; m < M; ++m) inputs[u % kAhead][m].unpackTo(x[m]);
      if (kAhead == D && next < stream.k) fetch(inputs[u % kAhead], next);
      DCC_UNROLL
      for (int j = 0; j < R; ++j) {
        float w[kPer];
        stream.take(u, j, next, w);
        DCC_UNROLL
        for (int m = 0; m < M; ++m) sums[m * R + j] += dot(x[m], w);
      }
    }
  }
}

// The same, only of inputs whose bit `live` has, the same in all lanes.
template <class A, int M, class W, int R, int D, class InputRow>
__device__ void multiplyStream(RowStream<W, R, D>& stream, InputRow inputRow, unsigned live,
                               float (&sums)[M * R]) {
  constexpr int kPer = kPerVector<W>;
  while (stream.at < stream.k) {
    DCC_UNROLL
    for (int u = 0; u < D && stream.at < stream.k; ++u, stream.at += stream.step) {
      const int next = stream.at + D * stream.step;
      float w[R][kPer];
      DCC_UNROLL
      for (int j = 0; j < R; ++j) stream.take(u, j, next, w[j]);
      DCC_UNROLL
      for (int m = 0; m < M; ++m) {
        if ((live >> m & 1) == 0) continue;
        InputVectors<W, A> input;
        float x[kPer];
        input.load(inputRow(m) + stream.at);
        input.unpackTo(x);
        DCC_UNROLL
        for (int j = 0; j < R; ++j) sums[m * R + j] += dot(x, w[j]);
      }
    }
  }
}

}  // namespace dcc::cuda
