// The ways of computing a product that gemm() chooses from: by vectors (gemm_vectors.cpp) and by
// tiles (gemm_tiles.cpp).
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/backends/cpu/matrix.h"
#include "runtime/backends/cpu/thread_pool.h"
#include "runtime/plan/workspace.h"

namespace dcc::cpu {

// Up to so many token rows take no longer than reading the weights does.
inline constexpr int64_t kFewRows = plan::GemmBlocks::kFewRows;

// A block of a result: up to GemmBlocks::kRows token rows by some weight rows.
struct GemmBlock {
  const std::byte* a;  // [rows, k], as the unit's prepare() made it
  DType a_type;
  int64_t a_stride;
  int64_t rows;
  int64_t all_rows;         // of the product
  const std::byte* weight;  // [cols, k]
  DType weight_type;
  int64_t weight_stride;
  int64_t cols;
  int64_t k;
  int64_t first;  // elements of the weight's rows before these k
  float* c;       // [rows, cols], overwritten
  int64_t c_stride;
  std::byte* scratch;  // GemmBlocks::kScratchBytes, 64-byte aligned
};

struct GemmUnit {
  // Blocks take a multiple of so many weight rows, but for the last.
  int64_t col_step;
  // Brings `a` to the form the blocks read, in `room` (GemmWorkspace::a bytes) if not as it lies.
  // Row r of the product is row r of what it returns.
  Matrix (*prepare)(ThreadPool& pool, const Matrix& a, std::byte* room);
  void (*block)(const GemmBlock& block);
};

// The instruction set's for these types.
const GemmUnit& gemmUnit(DType a, DType weight);

// gemm() of gemm.h by this unit.
void gemm(ThreadPool& pool, const GemmUnit& unit, const Matrix& a, const WeightView& weight,
          const float* bias, int64_t chunks, const Matrix& out, std::byte* scratch);

// Any types, as f32; and bf16 with bf16 as they are, on AVX-512 with avx512_bf16.
extern const GemmUnit kWidenedVectors, kBf16Vectors;
// bf16 with bf16 on AMX.
extern const GemmUnit kAmxTiles;

}  // namespace dcc::cpu
