#include "runtime/backends/cuda/op.h"

namespace dcc::cuda {

Result<Op> prepareGemm(PrepareContext& context, const fb::Gemm& gemm) {
  return Op([a = context.buffer(gemm.a()), weight = context.weight(gemm.weight()),
             bias = gemm.bias() >= 0 ? context.vector(gemm.bias()) : nullptr,
             out = context.buffer(gemm.out()), &products = context.products(),
             workspace = context.productWorkspace()](const StepState& s) {
    return products.multiply(s.on, a.at(s), weight, bias, out.at(s), workspace);
  });
}

}  // namespace dcc::cuda
