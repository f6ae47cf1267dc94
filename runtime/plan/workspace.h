// Memory that the CPU's kernels need beside the arena. The kernels divide it as said here, so that
// what a rank needs is known from its plan and the number of its threads alone.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "plan_generated.h"
#include "runtime/base/dtype.h"

namespace dcc::plan {

// A product's result is computed in blocks of so many token rows and weight rows.
struct GemmBlocks {
  static constexpr int64_t kRows = 128;
  static constexpr int64_t kCols = 96;
  static constexpr int64_t kFloats = kRows * kCols;
  // Up to so many token rows make blocks of more weight rows, kFloats in all.
  static constexpr int64_t kFewRows = 16;

  // What a thread needs for a block. By vectors: a panel of weight rows, each a part of k as long
  // as 64 vectors of 64 bytes, and a bit to keep rows off the same cache sets.
  static constexpr int64_t kPanelRows = 6;
  static constexpr int64_t kPanelRowBytes = 64 * 64 + 64;
  // By tiles: sums of all of the block, and two tiles of weights, 1 KiB each.
  static constexpr int64_t kTileBytes = 1024;
  static constexpr size_t kScratchBytes = kFloats * sizeof(float) + 2 * kTileBytes;
  static_assert(kPanelRows * kPanelRowBytes <= kScratchBytes);

  // Blocks of sums that wait for their neighbours while `chunks` sums are added as a tree.
  static int64_t waitingSums(int64_t chunks) {
    return std::bit_width(static_cast<uint64_t>(chunks)) - 1;
  }
};

// One product's workspace, its parts in this order.
struct GemmWorkspace {
  size_t threads;  // kScratchBytes each
  size_t a;        // `a` in the form that is multiplied, where it isn't f32
  size_t blocks;   // a block of results per thread, where those aren't f32
  size_t sums;     // of chunks of k, per thread

  size_t bytes() const { return threads + a + blocks + sums; }
};
// For a product of [rows, k], k in `chunks` (a power of two), with any instruction set.
GemmWorkspace gemmWorkspace(int64_t rows, int64_t k, int64_t chunks, DType a, DType out,
                            uint32_t threads);

// What one thread needs for a task of attention: keys come in blocks, for a few query rows. Every
// row begins at a multiple of 64 bytes.
struct AttentionBlocks {
  static constexpr int64_t kKeys = 128;
  // Keys whose scores are made together, at most.
  static constexpr int64_t kTurnedKeys = 64;
  // (token, head) pairs of a task, unless one token has more heads.
  static constexpr int64_t kRows = 32;
  // Keys of a segment at least, and segments of a sequence at most.
  static constexpr int64_t kSegmentKeys = 512, kSegments = 64;

  int64_t heads;               // of a task's token, at most
  int64_t rows;                // of a task, at most
  int64_t k_stride, v_stride;  // floats of a key's or a value's row
  int64_t segment_keys, segments;

  // `heads`: query heads that share a KV head. `longest`: tokens of a sequence at most, 0 if its
  // keys are one segment.
  AttentionBlocks(int64_t k_dim, int64_t v_dim, int64_t heads, int64_t longest);
  // Queries, scores, a few keys turned, a block of keys or values, and two parts.
  int64_t floats() const;
  // A result, and a maximum and a sum per row.
  int64_t partFloats(int64_t rows) const;
  // Tasks of one token are done a segment at a time if there are fewer than this.
  int64_t sharedTasks(uint32_t threads) const;
};
// Of each thread, and a part for each segment of as many tasks as are done so.
uint64_t attentionWorkspaceBytes(const AttentionBlocks& blocks, uint32_t threads);

// Of a verified attention, with or without a cache: the query heads that share a KV head, at most.
int64_t headsPerKvHead(const fb::Kernel& attention, int64_t heads, int64_t kv_heads);

// What experts need for up to `rows` tokens of one expert: floats of the tokens' x, of gate and up
// each, of the result, and of `sums` sums over experts of all tokens where there are several, a
// place per token, and bytes for the products; in this order. `type`: x's.
struct ExpertsWorkspace {
  size_t x, hidden, result, sums, places;
  size_t product;

  ExpertsWorkspace(int64_t rows, int64_t d, int64_t width, int64_t out, int64_t sums, DType type,
                   uint32_t threads);
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
