#include "runtime/backends/cuda/tuner.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "runtime/backends/cuda/device_memory.h"
#include "runtime/backends/cuda/kernels.h"

namespace dcc::cuda {
namespace {

constexpr int kRuns = 7;

}  // namespace

Result<std::vector<WayToMultiply>> waysToMultiply(const Launch& on, MatrixLibrary& library,
                                                  const Matrix& a, const WeightView& weight,
                                                  const float* bias, const Matrix& out,
                                                  std::byte* workspace) {
  std::vector<WayToMultiply> ways;
  if (out.rows <= kGemvRows) {
    ways.push_back({ProductBy::kGemv, 0, [=] {
                      gemv(on, a, weight, bias, out);
                      return Status::success();
                    }});
  }
  const ProductShape shape = shapeOf(a, weight, bias, out);
  DCC_ASSIGN(const std::vector<uint64_t> algorithms, library.algorithms(shape));
  for (uint64_t algorithm : algorithms) {
    ways.push_back({ProductBy::kLibrary, algorithm, [=, &library]() -> Status {
                      DCC_ASSIGN(const bool offered, library.choose(shape, algorithm));
                      if (!offered) {
                        return runtimeError(describe(shape) + ": an algorithm is no longer there");
                      }
                      return library.multiply(on, a, weight, bias, out, workspace);
                    }});
  }
  ways.push_back({ProductBy::kTiles, 0, [=] {
                    tiledGemm(on, a, weight, bias, out);
                    return Status::success();
                  }});
  return ways;
}

Result<TunedProduct> fastestWay(const ProductKey& key, std::span<const WayToMultiply> ways,
                                const Stopwatch& stopwatch) {
  std::optional<TunedProduct> best;
  Error last = runtimeError("tuning: there is no way to make a product");
  for (const WayToMultiply& way : ways) {
    const Result<double> time = stopwatch(way.run);
    if (!time.ok()) {
      last = time.error();
    } else if (!best || *time < best->microseconds) {
      best = {key, way.by, way.algorithm, *time};
    }
  }
  if (!best) return last;
  return *best;
}

Stopwatch deviceStopwatch(cudaStream_t stream, std::span<std::byte> flush) {
  return [=](const std::function<Status()>& run) -> Result<double> {
    DCC_ASSIGN(const Event begin, Event::create(cudaEventDefault));
    DCC_ASSIGN(const Event end, Event::create(cudaEventDefault));
    std::array<float, kRuns> milliseconds;
    // Once without a clock: what the first call prepares.
    for (int i = -1; i < kRuns; ++i) {
      DCC_RETURN_IF_ERROR(check(cudaMemsetAsync(flush.data(), 0, flush.size(), stream), "tuning"));
      DCC_RETURN_IF_ERROR(check(cudaEventRecord(begin.get(), stream), "tuning"));
      DCC_RETURN_IF_ERROR(run());
      DCC_RETURN_IF_ERROR(check(cudaGetLastError(), "tuning"));
      DCC_RETURN_IF_ERROR(check(cudaEventRecord(end.get(), stream), "tuning"));
      DCC_RETURN_IF_ERROR(check(cudaEventSynchronize(end.get()), "tuning"));
      float& time = milliseconds[static_cast<size_t>(std::max(i, 0))];
      DCC_RETURN_IF_ERROR(check(cudaEventElapsedTime(&time, begin.get(), end.get()), "tuning"));
    }
    std::nth_element(milliseconds.begin(), milliseconds.begin() + kRuns / 2, milliseconds.end());
    return double{milliseconds[kRuns / 2]} * 1000;
  };
}

}  // namespace dcc::cuda
