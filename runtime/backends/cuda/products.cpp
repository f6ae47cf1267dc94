#include "runtime/backends/cuda/products.h"

#include <utility>

#include "runtime/backends/cuda/kernels.h"

namespace dcc::cuda {

ProductKey keyOf(const ProductShape& s) {
  return {rowsClass(s.rows), s.n, s.k, s.a, s.weight, s.out, s.bias};
}

Products::Products(std::unique_ptr<MatrixLibrary> library, TuningSet tuned)
    : library_(std::move(library)), tuned_(std::move(tuned)) {}

Result<ProductBy> Products::decide(const ProductShape& shape) {
  const bool few = shape.rows <= kGemvRows;
  const ProductBy usual = few ? ProductBy::kGemv : ProductBy::kLibrary;
  const TunedProduct* const tuned = tuned_.find(keyOf(shape));
  if (tuned == nullptr) return usual;
  if (tuned->by == ProductBy::kGemv) return usual;
  if (tuned->by == ProductBy::kTiles) return ProductBy::kTiles;
  DCC_ASSIGN(const bool offered, library_->choose(shape, tuned->algorithm));
  if (offered) return ProductBy::kLibrary;
  // For other rows of the class the library may well have others.
  if (shape.rows == tuned->key.rows) {
    notes_.push_back(describe(shape) + ": " + library_->name() +
                     " has not the algorithm that was measured; `drun DIR tune` measures again");
  }
  return usual;
}

Result<ProductBy> Products::way(const ProductShape& shape) {
  auto found = ways_.find(shape);
  if (found == ways_.end()) {
    DCC_ASSIGN(const ProductBy by, decide(shape));
    found = ways_.emplace(shape, by).first;
  }
  return found->second;
}

Status Products::multiply(const Launch& on, const Matrix& a, const WeightView& weight,
                          const float* bias, const Matrix& out, std::byte* workspace) {
  if (out.rows == 0 || out.cols == 0) return Status::success();
  DCC_ASSIGN(const ProductBy by, way(shapeOf(a, weight, bias, out)));
  switch (by) {
    case ProductBy::kGemv:
      gemv(on, a, weight, bias, out);
      break;
    case ProductBy::kTiles:
      tiledGemm(on, a, weight, bias, out);
      break;
    case ProductBy::kLibrary:
      return library_->multiply(on, a, weight, bias, out, workspace);
  }
  return Status::success();
}

}  // namespace dcc::cuda
