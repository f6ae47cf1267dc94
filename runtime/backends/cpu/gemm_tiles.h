// Products of bf16 by tiles, over any unit that has tiles as AmxTiles does.
//
// Rows of the weights lie in memory as a unit's left operand wants them: 16 rows, 32 elements of k
// each. The token rows become right operands once per product (packTokens). So tiles of sums are
// [weight rows, tokens] and are transposed in the end, and weights are laid out anew for nobody. A
// sum runs over k in order within its tile, whatever else is in it: it depends on its two rows
// only.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "runtime/backends/cpu/gemm_unit.h"
#include "runtime/backends/cpu/transpose.h"
#include "runtime/base/checked.h"

namespace dcc::cpu {

struct TileShape {
  static constexpr int64_t kRows = 16;   // weight rows of a left operand, tokens of a right one
  static constexpr int64_t kDepth = 32;  // elements of k
  static constexpr int64_t kLine = kDepth * 2;  // bytes of a left operand's row

  // Few tokens make narrower tiles.
  static int64_t columns(int64_t tokens) { return std::min(tokens, kRows); }
};

// bf16 [rows, k] as right operands, with zeros for what tokens and elements lack: for each
// columns(rows) tokens, for each kDepth elements, a tile of [kDepth / 2, columns] pairs. As a
// matrix: its row r, a multiple of kRows, begins with the tiles of tokens r and following.
inline Matrix packTokens(ThreadPool& pool, const Matrix& a, std::byte* room) {
  constexpr int64_t kElement = 2, kPair = 4;
  const int64_t columns = TileShape::columns(a.rows);
  const int64_t depth = alignUp(a.cols, TileShape::kDepth);
  const Matrix packed = {room, DType::kBF16, a.rows, a.cols, depth};
  pool.run(ceilDiv(a.rows, columns), [&](int64_t tile, uint32_t) {
    const int64_t first = tile * columns, tokens = std::min(columns, a.rows - first);
    // The tiles of these tokens together: [depth / 2, columns] pairs.
    std::byte* const to = packed.at(first, 0);
    const int64_t stride = columns * kPair, pairs = a.cols / 2;
    std::memset(to + (tokens < columns ? 0 : pairs * stride), 0,
                (depth / 2 - (tokens < columns ? 0 : pairs)) * stride);
    transposeWords(a.at(first, 0), a.stride * kElement, tokens, pairs, to, stride);
    if (a.cols % 2 == 0) return;
    for (int64_t t = 0; t < tokens; ++t) {
      std::memcpy(to + pairs * stride + t * kPair, a.at(first + t, a.cols - 1), kElement);
    }
  });
  return packed;
}

// A block of a product, computed two by two tiles at a time.
template <class Tiles>
class TileProduct {
 public:
  explicit TileProduct(const GemmBlock& g)
      : g_(g),
        columns_(TileShape::columns(g.all_rows)),
        tokens_(ceilDiv(g.rows, columns_)),
        weights_(ceilDiv(g.cols, TileShape::kRows)),
        few_(g.all_rows <= kFewRows),
        tiles_(columns_) {}

  void run() {
    // Few tokens: weights are read along their rows, as memory likes it. Many: a part of their rows
    // at a time, so that this part of all tokens stays in the second-level cache.
    const int64_t span = few_ ? g_.k : kPart;
    for (int64_t p = 0; p < g_.k; p += span) {
      const int64_t end = std::min(g_.k, p + span);
      for (int64_t w = 0; w < weights_; w += 2) {
        for (int64_t t = 0; t < tokens_; t += 2) {
          const bool pair = w + 1 < weights_, two = t + 1 < tokens_;
          if (pair && two) multiply<2, 2>(w, t, p, end);
          if (pair && !two) multiply<2, 1>(w, t, p, end);
          if (!pair && two) multiply<1, 2>(w, t, p, end);
          if (!pair && !two) multiply<1, 1>(w, t, p, end);
        }
      }
    }
    for (int64_t w = 0; w < weights_; ++w) {
      for (int64_t t = 0; t < tokens_; ++t) store(w, t);
    }
  }

 private:
  static constexpr int64_t kPart = 1024;
  static constexpr int64_t kTile = plan::GemmBlocks::kTileBytes;

  // Adds the products of elements [p, end) of k to kWeights by kTokens tiles of sums.
  template <int kWeights, int kTokens>
  void multiply(int64_t w, int64_t t, int64_t p, int64_t end) {
    const int64_t stride = columns_ * 4;
    const auto sums = [&](auto body) {
      each<kWeights>([&](auto i) {
        each<kTokens>([&](auto j) { body(tile<2 * i + j>(), sumsOf(w + i, t + j)); });
      });
    };
    sums([&](auto tile, std::byte* at) {
      p == 0 ? tiles_.template zero<tile>() : tiles_.template load<tile>(at, stride);
    });
    const std::byte* next = weightAt(w + kWeights, p);
    for (; p < end; p += TileShape::kDepth) {
      each<kTokens>([&](auto j) { tiles_.template load<6 + j>(tokensAt(t + j, p), stride); });
      each<kWeights>([&](auto i) { loadWeights<i>(w + i, p); });
      each<kWeights>([&](auto i) {
        each<kTokens>([&](auto j) { tiles_.template multiplyAdd<2 * i + j, 4 + i, 6 + j>(); });
      });
      // What the next rows' tiles will read, one after the other, by the time these are done.
      if (few_) next = fetch(next, kWeights * kTile);
    }
    sums([&](auto tile, std::byte* at) { tiles_.template store<tile>(at, stride); });
  }

  // Calls body(0), ... body(n - 1) with constants.
  template <int n, class Body>
  static void each(Body&& body) {
    body(std::integral_constant<int, 0>());
    if constexpr (n == 2) body(std::integral_constant<int, 1>());
  }
  template <int t>
  static std::integral_constant<int, t> tile() {
    return {};
  }

  template <int i>
  void loadWeights(int64_t w, int64_t p) {
    const std::byte* from = weightAt(w, p);
    const int64_t rows = std::min(TileShape::kRows, g_.cols - w * TileShape::kRows);
    const int64_t depth = std::min(TileShape::kDepth, g_.k - p);
    if (rows == TileShape::kRows && depth == TileShape::kDepth) {
      return tiles_.template load<4 + i>(from, g_.weight_stride * 2);
    }
    // At the edges zeros for what lies beyond: it might be anything, or not be there.
    std::byte* to = g_.scratch + plan::GemmBlocks::kFloats * sizeof(float) + i * kTile;
    std::memset(to, 0, kTile);
    for (int64_t r = 0; r < rows; ++r) {
      std::memcpy(to + r * TileShape::kLine, from + r * g_.weight_stride * 2, depth * 2);
    }
    tiles_.template load<4 + i>(to, TileShape::kLine);
  }

  static const std::byte* fetch(const std::byte* from, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 2);
    return from + bytes;
  }

  void store(int64_t w, int64_t t) const {
    const int64_t n = w * TileShape::kRows, m = t * columns_;
    transposeWords(sumsOf(w, t), columns_ * 4, std::min(TileShape::kRows, g_.cols - n),
                   std::min(columns_, g_.rows - m),
                   reinterpret_cast<std::byte*>(g_.c + m * g_.c_stride + n), g_.c_stride * 4);
  }

  const std::byte* weightAt(int64_t w, int64_t p) const {
    return g_.weight + (w * TileShape::kRows * g_.weight_stride + p) * 2;
  }
  const std::byte* tokensAt(int64_t t, int64_t p) const {
    return g_.a + (t * g_.a_stride + p) * columns_ * 2;
  }
  std::byte* sumsOf(int64_t w, int64_t t) const {
    return g_.scratch + (w * tokens_ + t) * columns_ * TileShape::kRows * 4;
  }

  const GemmBlock& g_;
  const int64_t columns_;           // tokens of a tile
  const int64_t tokens_, weights_;  // tiles of the block
  const bool few_;
  Tiles tiles_;
};

}  // namespace dcc::cpu
