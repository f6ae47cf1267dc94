// Finds the fastest way of making a product, by making it.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/backends/cuda/matrix_library.h"
#include "runtime/backends/cuda/tuning.h"

namespace dcc::cuda {

struct WayToMultiply {
  ProductBy by = ProductBy::kLibrary;
  uint64_t algorithm = 0;
  std::function<Status()> run;  // puts it into a stream
};
// All ways there are of out = a weight' (+ bias), the library's in its own order. They refer to
// `library`, whose choice for this shape they change.
Result<std::vector<WayToMultiply>> waysToMultiply(const Launch& on, MatrixLibrary& library,
                                                  const Matrix& a, const WeightView& weight,
                                                  const float* bias, const Matrix& out,
                                                  std::byte* workspace);

// Microseconds that `run`, a way's, takes.
using Stopwatch = std::function<Result<double>(const std::function<Status()>& run)>;

// The fastest way, the first among equals. Those that fail are left out; the error is the last
// one's when all do.
Result<TunedProduct> fastestWay(const ProductKey& key, std::span<const WayToMultiply> ways,
                                const Stopwatch& stopwatch);

// The median of some runs in the stream, as the device's events say. Before each `flush`, device
// memory, is overwritten: where it is larger than the L2 cache, weights are read from memory, as in
// a step.
Stopwatch deviceStopwatch(cudaStream_t stream, std::span<std::byte> flush);

}  // namespace dcc::cuda
