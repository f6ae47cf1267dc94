// Transposes matrices of 32-bit words: f32, or pairs of bf16.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace dcc::cpu {

// to[c, r] = from[r, c] for r < rows, c < cols. Strides in bytes; nothing need be aligned.
inline void transposeWords(const std::byte* from, int64_t from_stride, int64_t rows, int64_t cols,
                           std::byte* to, int64_t to_stride) {
  using V = uint32_t __attribute__((vector_size(16)));
  constexpr int64_t kWord = sizeof(uint32_t);
  const int64_t whole_rows = rows / 4 * 4, whole_cols = cols / 4 * 4;
  for (int64_t r = 0; r < whole_rows; r += 4) {
    for (int64_t c = 0; c < whole_cols; c += 4) {
      V v[4];
      for (int i = 0; i < 4; ++i) {
        std::memcpy(&v[i], from + (r + i) * from_stride + c * kWord, sizeof(V));
      }
      const V a = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5);
      const V b = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
      const V d = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
      const V e = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
      v[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
      v[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
      v[2] = __builtin_shufflevector(d, e, 0, 1, 4, 5);
      v[3] = __builtin_shufflevector(d, e, 2, 3, 6, 7);
      for (int i = 0; i < 4; ++i) {
        std::memcpy(to + (c + i) * to_stride + r * kWord, &v[i], sizeof(V));
      }
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = r < whole_rows ? whole_cols : 0; c < cols; ++c) {
      std::memcpy(to + c * to_stride + r * kWord, from + r * from_stride + c * kWord, kWord);
    }
  }
}

}  // namespace dcc::cpu
