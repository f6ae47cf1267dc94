// Random weights: eight elements of a run to a thread, each word of the stream drawn where it is
// needed.
#include <algorithm>

#include "runtime/backends/cuda/eights.cuh"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/weights/split_mix.h"

namespace dcc::cuda {
namespace {

constexpr uint64_t kPerWord = 4;  // elements

__global__ void randomKernel(RandomPiece piece, SplitMix words, DType type, std::byte* weight) {
  waitForInputs();
  const uint64_t i = (static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kEight;
  if (i >= piece.run) return;
  const float unit = piece.spread * 0x1p-16f;
  const uint64_t runs = static_cast<uint64_t>(gridDim.y) * blockDim.y;
  for (uint64_t r = static_cast<uint64_t>(blockIdx.y) * blockDim.y + threadIdx.y; r < piece.count;
       r += runs) {
    uint64_t element = piece.first + r * piece.source_stride + i * piece.source_step;
    uint64_t number = element / kPerWord, word = words.word(number);
    float x[kEight];
    DCC_UNROLL for (int j = 0; j < kEight; ++j) {
      if (element / kPerWord != number) {
        number = element / kPerWord;
        word = words.word(number);
      }
      const auto u = static_cast<int32_t>(word >> (element % kPerWord * 16) & 0xffff);
      // Two operations, as on the CPU.
      x[j] = __fadd_rn(piece.mean, __fmul_rn(unit, static_cast<float>(2 * u - 0xffff)));
      element += piece.source_step;
    }
    if (piece.drawn != type) toF32(fromF32(x, piece.drawn), piece.drawn, x);
    if (piece.plus != 0) {
      DCC_UNROLL for (int j = 0; j < kEight; ++j) x[j] += piece.plus;
    }
    const uint64_t at = piece.dest_offset + r * piece.dest_stride + i * piece.dest_step;
    if (piece.dest_step == 1) {
      writeEight(weight + at * byteSize(type), type, static_cast<int64_t>(piece.run - i),
                 fromF32(x, type));
    } else {
      for (uint64_t j = 0; j < kEight && i + j < piece.run; ++j) {
        store(weight, type, static_cast<int64_t>(at + j * piece.dest_step), x[j]);
      }
    }
  }
}

}  // namespace

void randomWeights(const Launch& on, const RandomPiece& piece, DType type, std::byte* weight) {
  constexpr uint64_t kThreads = 256, kMostBlocks = 65535;
  if (piece.run == 0 || piece.count == 0) return;
  const uint64_t eights = (piece.run + kEight - 1) / kEight;
  const uint64_t x = std::min(eights, kThreads), y = std::min(piece.count, kThreads / x);
  const dim3 grid(static_cast<unsigned>((eights + x - 1) / x),
                  static_cast<unsigned>(std::min((piece.count + y - 1) / y, kMostBlocks)));
  const dim3 block(static_cast<unsigned>(x), static_cast<unsigned>(y));
  launch(on, randomKernel, grid, block, 0, piece, SplitMix(piece.seed), type, weight);
}

}  // namespace dcc::cuda
