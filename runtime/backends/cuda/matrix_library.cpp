#include "runtime/backends/cuda/matrix_library.h"

#include <bit>

#include "runtime/backends/cuda/kernels.h"

namespace dcc::cuda {
namespace {

class Tiles : public MatrixLibrary {
 public:
  const std::string& name() const override { return name_; }
  size_t workspaceBytes() const override { return 0; }
  Status multiply(const Launch& on, const Matrix& a, const WeightView& weight, const float* bias,
                  const Matrix& out, std::byte*) override {
    tiledGemm(on, a, weight, bias, out);
    return Status::success();
  }
  Result<std::vector<uint64_t>> algorithms(const ProductShape&) override {
    return std::vector<uint64_t>();
  }
  Result<bool> choose(const ProductShape&, uint64_t) override { return false; }

 private:
  std::string name_ = "tiles";
};

}  // namespace

ProductShape shapeOf(const Matrix& a, const WeightView& weight, const float* bias,
                     const Matrix& out) {
  const auto addresses = reinterpret_cast<uintptr_t>(a.data) |
                         reinterpret_cast<uintptr_t>(weight.data) |
                         reinterpret_cast<uintptr_t>(out.data) | 256;
  return {.rows = out.rows,
          .n = weight.rows,
          .k = weight.cols,
          .a_stride = a.stride,
          .weight_stride = weight.stride,
          .out_stride = out.stride,
          .a = a.dtype,
          .weight = weight.dtype,
          .out = out.dtype,
          .bias = bias != nullptr,
          .alignment = int64_t{1} << std::countr_zero(addresses)};
}

std::string describe(const ProductShape& s) {
  const auto matrix = [](DType type, int64_t rows, int64_t cols) {
    return std::string(dcc::name(type)) + "[" + std::to_string(rows) + ", " + std::to_string(cols) +
           "]";
  };
  return matrix(s.a, s.rows, s.k) + " x " + matrix(s.weight, s.n, s.k) + "' -> " +
         std::string(dcc::name(s.out));
}

std::unique_ptr<MatrixLibrary> tiledProducts() { return std::make_unique<Tiles>(); }

#ifdef DCC_CUDA_EMULATION
OpenedLibrary openMatrixLibrary() { return {tiledProducts(), ""}; }
#endif

}  // namespace dcc::cuda
