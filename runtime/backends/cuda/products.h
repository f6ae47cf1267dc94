// Products of any rows, each made in the way that is best for its shape: the one that was measured
// to be, else gemv() for few rows and the library for more.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/backends/cuda/matrix_library.h"
#include "runtime/backends/cuda/tuning.h"

namespace dcc::cuda {

// What was measured for the shape holds for.
ProductKey keyOf(const ProductShape& shape);

// One object per rank, used by one thread at a time.
class Products {
 public:
  // `tuned`: of this device and library; may be empty.
  Products(std::unique_ptr<MatrixLibrary> library, TuningSet tuned);

  MatrixLibrary& library() { return *library_; }
  // Device memory that multiply() gets, 256-byte aligned.
  size_t workspaceBytes() const { return library_->workspaceBytes(); }

  // As MatrixLibrary::multiply(). How a shape is made is decided at its first call.
  Status multiply(const Launch& on, const Matrix& a, const WeightView& weight, const float* bias,
                  const Matrix& out, std::byte* workspace);

  // How products of the shape are made. Error (runtime): the library's.
  Result<ProductBy> way(const ProductShape& shape);

  // What was measured and cannot be used, a line each: for the user.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  Result<ProductBy> decide(const ProductShape& shape);

  std::unique_ptr<MatrixLibrary> library_;
  TuningSet tuned_;
  std::map<ProductShape, ProductBy> ways_;
  std::vector<std::string> notes_;
};

}  // namespace dcc::cuda
