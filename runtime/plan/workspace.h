// Memory that the CPU's kernels need beside the arena. The kernels divide it as said here, so that
// what a rank needs is known from its plan and the number of its threads alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "plan_generated.h"
#include "runtime/base/dtype.h"

namespace dcc::plan {

// A product's result is computed in blocks of so many token rows and weight rows; a thread brings a
// panel of weight rows to f32 at a time.
struct GemmBlocks {
  static constexpr int64_t kRows = 120;  // a multiple of every target's tile
  static constexpr int64_t kCols = 96;
  static constexpr int64_t kFloats = kRows * kCols;
  // A panel row's length: the longest part of k, and some to keep rows off the same cache sets.
  static constexpr int64_t kMaxPart = 1024;
  static constexpr int64_t kPanelStride = kMaxPart + 16;
  static constexpr int64_t kMaxPanel = 6;  // rows
  static constexpr int64_t kPanelFloats = kMaxPanel * kPanelStride;
};

// One product's workspace, its parts in this order.
struct GemmWorkspace {
  size_t panels;  // of all threads
  size_t wide;    // `a` as f32, where it isn't
  size_t blocks;  // a block of results per thread, where those aren't f32

  size_t bytes() const { return panels + wide + blocks; }
};
// For a product of [rows, k].
GemmWorkspace gemmWorkspace(int64_t rows, int64_t k, DType a, DType out, uint32_t threads);

// What one thread needs for a task of attention: keys come in blocks, for a few query rows. Every
// row begins at a multiple of 64 bytes.
struct AttentionBlocks {
  static constexpr int64_t kKeys = 128;
  // (token, head) pairs of a task, unless one token has more heads.
  static constexpr int64_t kRows = 32;

  int64_t rows;                // of a task, at most
  int64_t k_stride, v_stride;  // floats of a key's or a value's row
  int64_t max_stride;          // floats for one number per row

  // `heads`: query heads that share a KV head.
  AttentionBlocks(int64_t k_dim, int64_t v_dim, int64_t heads);
  // Queries, scores, results, a block of keys or values, and a maximum and a sum per row.
  int64_t floats() const;
};
uint64_t attentionWorkspaceBytes(const AttentionBlocks& blocks, uint32_t threads);

// Of a verified attention, with or without a cache: the query heads that share a KV head, at most.
int64_t headsPerKvHead(const fb::Kernel& attention, int64_t heads, int64_t kv_heads);

// What experts need for up to `rows` tokens of one expert: floats of the tokens' x, of gate and up
// each, and of the result, a place per token, and bytes for the products; in this order.
struct ExpertsWorkspace {
  size_t x, hidden, result, places;
  size_t product;

  ExpertsWorkspace(int64_t rows, int64_t d, int64_t width, int64_t out, uint32_t threads);
  size_t bytes() const;
};

// Dense copies of a collective's operands, `in` first: where rows have gaps, or parts are columns.
// With gates what a rank sends, and what it receives.
struct CollectiveWorkspace {
  size_t in, out;
  size_t bytes() const { return in + out; }
};
// `sizes`: values of Plan.sizes at the entry's bounds.
CollectiveWorkspace collectiveWorkspace(const fb::Entry& entry, const fb::Collective& collective,
                                        std::span<const int64_t> sizes);

// Of a verified plan's entry: what its instructions take turns to use.
uint64_t workspaceBytes(const fb::Plan& plan, const fb::Entry& entry, uint32_t threads);

}  // namespace dcc::plan
