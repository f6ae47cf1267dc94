// Attention of all tokens of a sequence to each other.
#include "runtime/backends/cuda/attention_prefill.cuh"
#include "runtime/backends/cuda/attention_rows.cuh"

namespace dcc::cuda {

void selfAttention(const Launch& on, const Matrix& q, const Matrix& k, const Matrix& v,
                   const StepView& step, const AttentionShape& shape, const Matrix& out) {
  if (q.rows == 0) return;
  const int64_t kv_heads = k.cols / shape.head_dim;
  const PackedKeys keys = {k, v, step.starts, static_cast<int>(shape.head_dim),
                           static_cast<int>(v.cols / kv_heads)};
  const Prefill<PackedKeys> tiles = {on, q, keys, step, shape, out, 1};
  if (tilesTake(k, v, q, out, shape) && forTileSizes(k.dtype, keys.k_dim, keys.v_dim, tiles))
    return;
  attentionByRows(on, q, keys, step.sequences, shape, out, {});
}

}  // namespace dcc::cuda
