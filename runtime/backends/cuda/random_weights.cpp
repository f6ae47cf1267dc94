#include "runtime/backends/cuda/random_weights.h"

#include <algorithm>

#include "runtime/backends/cuda/kernels.h"
#include "runtime/plan/access.h"

namespace dcc::cuda {

namespace fb = plan::fb;

bool drawsWeight(const fb::Plan& plan, uint32_t weight) {
  const auto pieces = plan::rows(plan.weights()->Get(weight)->pieces());
  return std::all_of(pieces.begin(), pieces.end(), [&](const fb::Piece* piece) {
    return plan.files()->Get(piece->file())->random() != nullptr &&
           piece->decoding() == fb::Decoding::copy;
  });
}

void drawWeight(const Launch& on, const fb::Plan& plan, uint32_t weight, std::byte* memory) {
  const fb::Weight& whole = *plan.weights()->Get(weight);
  for (const fb::Piece* piece : plan::rows(whole.pieces())) {
    const fb::Random& random = *plan.files()->Get(piece->file())->random();
    RandomPiece drawn;
    drawn.seed = random.seed();
    drawn.mean = random.mean();
    drawn.spread = random.spread();
    drawn.drawn = static_cast<DType>(piece->source_dtype());
    drawn.first = piece->source_offset() / byteSize(drawn.drawn);
    drawn.run = piece->run();
    drawn.count = piece->count();
    drawn.source_stride = piece->source_stride();
    drawn.source_step = piece->source_step();
    drawn.dest_offset = piece->dest_offset();
    drawn.dest_stride = piece->dest_stride();
    drawn.dest_step = piece->dest_step();
    drawn.plus = whole.plus();
    randomWeights(on, drawn, static_cast<DType>(whole.dtype()), memory);
  }
}

}  // namespace dcc::cuda
