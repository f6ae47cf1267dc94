// One task of attention, and what it works in: shared by its parts and by all SIMD targets.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "runtime/backends/cpu/kernels.h"
#include "runtime/plan/workspace.h"

namespace dcc::cpu {

constexpr int64_t kKeyBlock = plan::AttentionBlocks::kKeys;
constexpr float kNone = -std::numeric_limits<float>::infinity();

// The keys or the values of one KV head and sequence: slots of pages, or rows of a matrix.
struct HeadRows {
  const std::byte* data;  // of key 0, in page 0
  DType dtype;
  int64_t dim, stride;             // elements
  const int32_t* pages = nullptr;  // of the sequence; none: one after the other
  int64_t per_page = 0, page_bytes = 0;

  const std::byte* at(int64_t key) const {
    const int64_t row = pages ? key % per_page : key;
    const std::byte* page = pages ? data + pages[key / per_page] * page_bytes : data;
    return page + row * stride * static_cast<int64_t>(byteSize(dtype));
  }
  // How many of the keys [key, to) follow each other.
  int64_t together(int64_t key, int64_t to) const {
    return pages ? std::min(to - key, per_page - key % per_page) : to - key;
  }
};

// Brings rows to the caches that will be needed soon, a few lines at a time between the products of
// others: all at once they would only be waited for.
class RowFetcher {
 public:
  RowFetcher() = default;  // of nothing
  // `bytes`: of a row; `lines`: of 64 bytes, at a time.
  RowFetcher(std::span<const std::byte* const> rows, int64_t bytes, int lines)
      : row_(rows.data()), end_(row_ + rows.size()), bytes_(bytes), lines_(lines) {}

  // Without a call: it stands in loops that need every register.
  void fetchSome() {
    for (int i = 0; i < lines_ && row_ != end_; ++i) {
      __builtin_prefetch(*row_ + at_);
      at_ += 64;
      if (at_ < bytes_) continue;
      at_ = 0;
      ++row_;
    }
  }

 private:
  const std::byte* const* row_ = nullptr;
  const std::byte* const* end_ = nullptr;
  int64_t at_ = 0, bytes_ = 0;
  int lines_ = 0;
};

// What query rows have made of some keys.
struct AttentionPart {
  float* out;  // [rows, out_stride]: the sum of values, each times e^score / 2^max
  float* max;  // [rows]: the largest score times log2(e), kNone before the first key
  float* sum;  // [rows]: of e^score / 2^max
};

struct AttentionTask {
  HeadRows k, v;
  int64_t first_token, tokens;  // of the step
  int64_t first_position;       // of the first of them
  int64_t length;               // all tokens see keys [0, length); 0: those up to themselves
  int64_t first_head, heads;    // query heads per token here; row = token * heads + head
  const float* sinks;           // of the first query head, or null
  const AttentionShape* shape;
  bool bf16;         // q and keys are multiplied as bf16, and q is that, in the same places
  bool bf16_values;  // so are weights and values; `to.out` is then in the order of valuePairs()
  // Scratch, every row 64-byte aligned. q: [rows, q_stride]; out: [rows, out_stride].
  float* q;
  int64_t q_stride;
  float* scores;     // [rows, kKeyBlock]
  uint32_t* turned;  // [q_stride, kTurnedKeys], keys as scoreRows() reads them
  AttentionPart to;
  int64_t out_stride;
  float* wide;  // [kKeyBlock, wide_stride], keys or values as f32
  int64_t wide_stride;
};

// The oldest key that the token at a position sees.
inline int64_t oldestSeen(const AttentionShape& shape, int64_t position) {
  if (shape.chunk > 0) return position / shape.chunk * shape.chunk;
  return shape.window > 0 ? std::max<int64_t>(0, position - shape.window + 1) : 0;
}

}  // namespace dcc::cpu
