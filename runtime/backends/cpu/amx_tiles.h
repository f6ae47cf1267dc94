// The tiles of a CPU with AMX (Intel SDM volume 1, chapter 18): eight registers of 16 rows of up to
// 64 bytes.
//
// In assembler rather than intrinsics: those take tile numbers as literals only, so that no
// template can pass them on, and gcc 12's believe that loading a configuration reads 8 bytes of it.
#pragma once

#include <cstdint>

namespace dcc::cpu {

// True when the CPU has tiles that multiply bf16 and the system lets this process use them, for
// which this asks it.
bool mayUseAmx();

// Tiles 0 to 3 hold sums, [16, columns] of f32; 4 and 5 a left operand, [16, 32] of bf16; 6 and 7 a
// right one, [16, columns] of pairs of bf16. They are the thread's: one such object at a time.
class AmxTiles {
 public:
  // columns: 1 to 16.
  explicit AmxTiles(int64_t columns) {
    struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {};
      uint8_t rows[16] = {};
    } config;
    static_assert(sizeof(config) == 64);
    for (int t = 0; t < 8; ++t) {
      config.rows[t] = 16;
      config.row_bytes[t] = static_cast<uint16_t>(t == 4 || t == 5 ? 64 : 4 * columns);
    }
    asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }
  ~AmxTiles() { asm volatile("tilerelease" ::: "memory"); }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  template <int t>
  void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(t));
  }
  // Rows `stride` bytes apart.
  template <int t>
  void load(const void* from, int64_t stride) {
    asm volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(t), "r"(from), "r"(stride) : "memory");
  }
  template <int t>
  void store(void* to, int64_t stride) {
    asm volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(t), "r"(to), "r"(stride) : "memory");
  }
  // sum[i, j] += over k of left[i, 2 k] * right[k, j].first + left[i, 2 k + 1] * right[k, j].second
  template <int sum, int left, int right>
  void multiplyAdd() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sum), "i"(left), "i"(right));
  }
};

}  // namespace dcc::cpu
