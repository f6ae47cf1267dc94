// Attention of any number of tokens of each sequence, whose keys are in the cache.
#include "runtime/backends/cuda/attention_prefill.cuh"
#include "runtime/backends/cuda/attention_rows.cuh"

namespace dcc::cuda {

void attention(const Launch& on, const Matrix& q, const CacheView& cache, const StepView& step,
               const PagesView& pages, const AttentionShape& shape, const Matrix& out,
               std::byte* scratch) {
  if (q.rows == 0) return;
  const CachedKeys keys = {cache, pages, step.positions};
  if (!tilesTake(cache, q, out, shape)) {
    attentionByRows(on, q, keys, step.sequences, shape, out, {});
    return;
  }
  // Among prompts there may be sequences with one token, whose keys want more than one block each.
  const bool single =
      (step.B > 1 || step.longest == 1) && decodeByTiles(on, q, keys, step, shape, out, scratch);
  if (single && step.longest == 1) return;
  const Prefill<CachedKeys> tiles = {on, q, keys, step, shape, out, single ? 2 : 1};
  if (!forTileSizes(cache.dtype, keys.kDim(), keys.vDim(), tiles)) {
    attentionByRows(on, q, keys, step.sequences, shape, out, {});
  }
}

}  // namespace dcc::cuda
