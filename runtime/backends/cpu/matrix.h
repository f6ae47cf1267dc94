// What kernels read and write: matrices in memory of any activation type, seen as f32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/backends/cpu/convert.h"
#include "runtime/backends/views.h"

namespace dcc::cpu {

// Kernels work on pieces of rows of at most this many elements: what a Reader or Writer holds.
inline constexpr int64_t kBlock = 1024;

// Pieces of a matrix's rows as f32: in place where they are f32, else converted.
class Reader {
 public:
  explicit Reader(const Matrix& m) : m_(m) {}

  // Elements [col, col + n) of a row, n <= kBlock; valid until the next call.
  const float* read(int64_t row, int64_t col, int64_t n) {
    if (m_.dtype == DType::kF32) return reinterpret_cast<const float*>(m_.at(row, col));
    toF32(m_.dtype, m_.at(row, col), buffer_, n);
    return buffer_;
  }

 private:
  const Matrix& m_;
  alignas(64) float buffer_[kBlock];
};

// The other direction: begin() gives the place for a piece, end() brings it to the matrix.
class Writer {
 public:
  explicit Writer(const Matrix& m) : m_(m) {}

  float* begin(int64_t row, int64_t col, int64_t n) {
    to_ = m_.at(row, col);
    n_ = n;
    return m_.dtype == DType::kF32 ? reinterpret_cast<float*>(to_) : buffer_;
  }
  void end() {
    if (m_.dtype != DType::kF32) fromF32(buffer_, m_.dtype, to_, n_);
  }

 private:
  const Matrix& m_;
  std::byte* to_ = nullptr;
  int64_t n_ = 0;
  alignas(64) float buffer_[kBlock];
};

// Calls body(col, n) for each piece of a row of `cols` elements.
template <class Body>
void forBlocks(int64_t cols, Body&& body) {
  for (int64_t c = 0; c < cols; c += kBlock) body(c, cols - c < kBlock ? cols - c : kBlock);
}

// Rows one thread should take so that handing them out pays.
inline int64_t rowGrain(int64_t cols) { return cols > 0 ? 1 + 16384 / cols : 1; }

// Copies n elements of a row, converting where the types differ.
void copyRow(const Matrix& from, int64_t from_row, int64_t from_col, const Matrix& to,
             int64_t to_row, int64_t to_col, int64_t n);

}  // namespace dcc::cpu
