#include <cstring>

#include "runtime/backends/cpu/kernels.h"

namespace dcc::cpu {

void embedding(ThreadPool& pool, const int32_t* tokens, const WeightView& weight,
               const Matrix& out) {
  Matrix table;  // never written
  table.data = const_cast<std::byte*>(weight.data);
  table.dtype = weight.dtype;
  table.rows = weight.rows;
  table.cols = table.stride = weight.cols;
  pool.forRanges(out.rows, rowGrain(out.cols), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t row = tokens[t] - weight.row_origin;
      if (row >= 0 && row < weight.rows) {
        copyRow(table, row, 0, out, t, 0, out.cols);
      } else {  // another rank's: the ranks' results are summed. All bits zero is 0 in every type.
        std::memset(out.at(t, 0), 0, out.cols * byteSize(out.dtype));
      }
    }
  });
}

}  // namespace dcc::cpu
