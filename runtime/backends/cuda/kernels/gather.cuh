// Rows of one matrix as rows of another, each from where a function of its number says.
#pragma once

#include "runtime/backends/cuda/eights.cuh"

namespace dcc::cuda {

// out[r] = from[row_of(r)], converted where the types differ; zeros where row_of(r) is negative.
template <class RowOf>
__global__ void gatherKernel(RowOf row_of, Matrix from, Matrix out) {
  waitForInputs();
  const Place at = placeIn(out);
  if (at.n <= 0) return;
  const int64_t row = row_of(at.row);
  Eight e;  // all bits zero is 0 in every type
  if (row >= 0) e = readEight(from, row, at.col, at.n);
  writeEight(out, at.row, at.col, at.n, converted(e, from.dtype, out.dtype));
}

template <class RowOf>
void gather(const Launch& on, RowOf row_of, const Matrix& from, const Matrix& out) {
  launchOverEights(on, out, gatherKernel<RowOf>, row_of, from, out);
}

}  // namespace dcc::cuda
