// Products of many rows, by the best library there is. One object per rank, used by one thread at a
// time.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/backends/cuda/cuda.h"
#include "runtime/backends/views.h"
#include "runtime/base/status.h"

namespace dcc::cuda {

// What an algorithm for out[rows, n] = a[rows, k] weight[n, k]' (+ bias[n]) is chosen by: sizes,
// distances between rows in elements, types, and the largest power of two up to 256 bytes that
// divides the addresses of all three.
struct ProductShape {
  int64_t rows = 0, n = 0, k = 0;
  int64_t a_stride = 0, weight_stride = 0, out_stride = 0;
  DType a = DType::kF32, weight = DType::kF32, out = DType::kF32;
  bool bias = false;
  int64_t alignment = 0;

  auto operator<=>(const ProductShape&) const = default;
};
ProductShape shapeOf(const Matrix& a, const WeightView& weight, const float* bias,
                     const Matrix& out);
// "bf16[8, 4096] x bf16[6144, 4096]' -> f32", for messages.
std::string describe(const ProductShape& shape);

class MatrixLibrary {
 public:
  virtual ~MatrixLibrary() = default;

  // Of the library with its version, "cuBLASLt 13.1.0": what was measured with one says nothing of
  // another.
  virtual const std::string& name() const = 0;
  // Device memory that multiply() may use, at least 256-byte aligned; 0: none.
  virtual size_t workspaceBytes() const = 0;

  // As tiledGemm(), with tiledGemm() for what the library does not do. Takes no device memory and
  // does not wait, so that it can be captured in a graph; a shape's first call takes host memory.
  // An error of a launch stays with the runtime. Error (runtime): the library's, with the shape.
  virtual Status multiply(const Launch& on, const Matrix& a, const WeightView& weight,
                          const float* bias, const Matrix& out, std::byte* workspace) = 0;

  // The algorithms among which there is a choice, as numbers that stay the same for this version
  // of the library and this kind of device; its own preference first. Empty where it has none.
  virtual Result<std::vector<uint64_t>> algorithms(const ProductShape& shape) = 0;
  // Has multiply() use this one for the shape from now on; false when the library does not offer
  // it, and the choice is what it was.
  virtual Result<bool> choose(const ProductShape& shape, uint64_t algorithm) = 0;
};

// Our own tiles, which need no library.
std::unique_ptr<MatrixLibrary> tiledProducts();

struct OpenedLibrary {
  std::unique_ptr<MatrixLibrary> library;
  std::string note;  // a line for the user where the best one is not there
};
// cuBLASLt for the current device where it is installed, else tiles.
OpenedLibrary openMatrixLibrary();

}  // namespace dcc::cuda
