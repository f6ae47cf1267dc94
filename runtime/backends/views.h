// How a backend sees a plan's buffers, weights and caches: addresses with shapes. Device code may
// use all of it, so everything is constexpr.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/base/dtype.h"

namespace dcc {

// [rows, cols]; row r starts r * stride elements after `data`.
struct Matrix {
  std::byte* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  constexpr std::byte* at(int64_t row, int64_t col) const {
    return data + (row * stride + col) * static_cast<int64_t>(byteSize(dtype));
  }
  // Of a matrix known to be f32.
  float* f32(int64_t row) const { return reinterpret_cast<float*>(at(row, 0)); }
};

// A weight as it lies in memory: [rows, cols], row-major; rows lie `stride` elements apart.
struct WeightView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;
  int64_t row_origin = 0;  // index in the whole weight of row 0

  constexpr const std::byte* row(int64_t r) const {
    return data + r * stride * static_cast<int64_t>(byteSize(dtype));
  }
};

// One layer's keys and values in the page pool of its group.
struct CacheView {
  std::byte* pool = nullptr;
  DType dtype = DType::kF32;
  uint32_t group = 0;
  int64_t tokens_per_page = 0;
  int64_t bytes_per_page = 0;
  int64_t heads = 0;
  int64_t k_dim = 0;
  int64_t v_dim = 0;
  int64_t k_offset = 0;
  int64_t v_offset = 0;

  // Key or value of the head in a slot of a page; slots of a head follow each other.
  constexpr std::byte* k(int64_t page, int64_t head, int64_t slot) const {
    return at(page, k_offset, (head * tokens_per_page + slot) * k_dim);
  }
  constexpr std::byte* v(int64_t page, int64_t head, int64_t slot) const {
    return at(page, v_offset, (head * tokens_per_page + slot) * v_dim);
  }

 private:
  constexpr std::byte* at(int64_t page, int64_t offset, int64_t element) const {
    return pool + page * bytes_per_page + offset + element * static_cast<int64_t>(byteSize(dtype));
  }
};

// The largest element of a row, the first among equals; a NaN counts as the largest.
struct Largest {
  float value;
  int32_t column;
};

}  // namespace dcc
