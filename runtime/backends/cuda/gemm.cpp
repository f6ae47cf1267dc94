// Products: few rows by our own kernels, at the memory's speed; many by the library, where it is
// there and takes the types.
#include "runtime/backends/cuda/op.h"

namespace dcc::cuda {

Result<Op> prepareGemm(PrepareContext& context, const fb::Gemm& gemm) {
  return kernelOp([a = context.buffer(gemm.a()), weight = context.weight(gemm.weight()),
                   bias = gemm.bias() >= 0 ? context.vector(gemm.bias()) : nullptr,
                   out = context.buffer(gemm.out())](const StepState& s) {
    const Matrix rows = a.at(s);
    const auto run = rows.rows <= kGemvRows ? gemv : tiledGemm;
    run(s.on, rows, weight, bias, out.at(s));
  });
}

}  // namespace dcc::cuda
