#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/kernels/gather.cuh"

namespace dcc::cuda {
namespace {

struct RowOfToken {
  const int32_t* tokens;
  int64_t first, rows;
  __device__ int64_t operator()(int64_t t) const {
    const int64_t row = tokens[t] - first;
    return row < rows ? row : -1;  // another rank's: the ranks' results are summed
  }
};

}  // namespace

void embedding(const Launch& on, const int32_t* tokens, const WeightView& weight,
               const Matrix& out) {
  // Only read.
  const Matrix table{const_cast<std::byte*>(weight.data), weight.dtype, weight.rows, weight.cols,
                     weight.stride};
  gather(on, RowOfToken{tokens, weight.row_origin, weight.rows}, table, out);
}

}  // namespace dcc::cuda
