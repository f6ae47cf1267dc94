// Attention of any number of tokens of each sequence, whose keys are in the cache.
#include "runtime/backends/cuda/attention_prefill.cuh"
#include "runtime/backends/cuda/attention_rows.cuh"

namespace dcc::cuda {

void attention(const Launch& on, const Matrix& q, const CacheView& cache, const StepView& step,
               const PagesView& pages, const AttentionShape& shape, const Matrix& out, std::byte*) {
  const CachedKeys keys = {cache, pages, step.positions};
  const Prefill<CachedKeys> tiles = {on, q, keys, step, shape, out};
  if (tilesTake(cache, q, out) && forTileSizes(cache.dtype, keys.kDim(), keys.vDim(), tiles)) {
    return;
  }
  attentionByRows(on, q, keys, step.sequences, shape, out, {});
}

}  // namespace dcc::cuda
