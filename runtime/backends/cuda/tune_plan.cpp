#include "runtime/backends/cuda/tune_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "runtime/backends/cuda/device_memory.h"
#include "runtime/backends/cuda/products.h"
#include "runtime/backends/cuda/tuner.h"
#include "runtime/backends/plan_views.h"
#include "runtime/base/progress.h"
#include "runtime/plan/plan.h"

namespace dcc::cuda {
namespace {

// Overwritten before every measurement: more than any device's L2 cache holds.
constexpr size_t kFlushBytes = size_t{256} << 20;

// A product of the plan with the most rows that an entry may have.
struct Wanted {
  Matrix a, out;
  uint32_t weight = 0;
  int32_t bias = -1;
};

// Each kind of product once, with some weight of that kind.
std::vector<Wanted> wantedProducts(const plan::fb::Plan& plan, const PlanMemory& memory) {
  std::map<ProductKey, Wanted> kinds;
  for (const plan::fb::Entry* entry : plan::rows(plan.entries())) {
    std::vector<int64_t> sizes(plan::rows(plan.sizes()).size());
    plan::evaluateSizes(plan, {entry->bounds()->data(), entry->bounds()->size()}, sizes);
    const auto matrix = [&](uint32_t index) {
      const plan::fb::Buffer& buffer = *entry->buffers()->Get(index);
      Matrix m;
      m.dtype = static_cast<DType>(buffer.dtype());
      m.rows = sizes[buffer.rows()];
      m.cols = static_cast<int64_t>(buffer.cols());
      m.stride = static_cast<int64_t>(buffer.row_stride());
      return m;
    };
    for (const plan::fb::Instruction* instruction : plan::rows(entry->instructions())) {
      const plan::fb::Gemm* gemm = instruction->body_as_Gemm();
      if (gemm == nullptr) continue;
      const Wanted wanted{matrix(gemm->a()), matrix(gemm->out()), gemm->weight(), gemm->bias()};
      const WeightView weight = weightView(plan, memory, gemm->weight());
      const float some = 0;
      ProductKey key =
          keyOf(shapeOf(wanted.a, weight, gemm->bias() >= 0 ? &some : nullptr, wanted.out));
      key.rows = 0;
      Wanted& kind = kinds.try_emplace(key, wanted).first->second;
      if (kind.a.rows < wanted.a.rows) kind = wanted;
    }
  }
  std::vector<Wanted> all;
  for (const auto& [key, wanted] : kinds) all.push_back(wanted);
  return all;
}

}  // namespace

Result<std::string> deviceName() {
  int device = 0;
  DCC_RETURN_IF_ERROR(check(cudaGetDevice(&device), "asking for the GPU"));
  cudaDeviceProp properties{};
  DCC_RETURN_IF_ERROR(
      check(cudaGetDeviceProperties(&properties, device), "asking for the GPU's name"));
  return std::string(properties.name);
}

Result<TuningSet> tuningFor(const MatrixLibrary& library, const std::string& file,
                            std::vector<std::string>& notes) {
  if (file.empty()) return TuningSet();
  DCC_ASSIGN(Tuning tuning, readTuning(file));
  DCC_ASSIGN(const std::string device, deviceName());
  const TuningSet* found = tuning.find(device, library.name());
  notes.insert(notes.end(), tuning.notes.begin(), tuning.notes.end());
  return found != nullptr ? *found : TuningSet();
}

Status tunePlan(const plan::fb::Plan& plan, const PlanMemory& memory, MatrixLibrary& library,
                std::byte* workspace, cudaStream_t stream, const std::string& file) {
  DCC_ASSIGN(Tuning tuning, readTuning(file));
  DCC_ASSIGN(const std::string device, deviceName());
  TuningSet& set = tuning.findOrAdd(device, library.name());
  const std::vector<Wanted> wanted = wantedProducts(plan, memory);
  size_t a_bytes = 0, out_bytes = 0;
  for (const Wanted& w : wanted) {
    a_bytes = std::max<size_t>(a_bytes, w.a.rows * w.a.stride * byteSize(w.a.dtype));
    out_bytes = std::max<size_t>(out_bytes, w.out.rows * w.out.stride * byteSize(w.out.dtype));
  }
  DCC_ASSIGN(const DeviceMemory a_memory, DeviceMemory::allocate(a_bytes));
  DCC_ASSIGN(const DeviceMemory out_memory, DeviceMemory::allocate(out_bytes));
  DCC_ASSIGN(const DeviceMemory flush, DeviceMemory::allocate(kFlushBytes));
  const Stopwatch stopwatch = deviceStopwatch(stream, {flush.data(), flush.size()});
  Progress line("measuring products", "products");
  Launch on;
  on.stream = stream;
  uint64_t done = 0;
  for (const Wanted& w : wanted) {
    const WeightView weight = weightView(plan, memory, w.weight);
    const float* bias = w.bias < 0
                            ? nullptr
                            : reinterpret_cast<const float*>(weightView(plan, memory, w.bias).data);
    std::set<int64_t> classes;
    for (int64_t rows = 1; rows <= w.a.rows; rows = rowsClass(rows + 1)) classes.insert(rows);
    classes.insert(w.a.rows);
    for (const int64_t rows : classes) {
      Matrix a = w.a, out = w.out;
      a.data = a_memory.data();
      out.data = out_memory.data();
      a.rows = out.rows = rows;
      DCC_ASSIGN(const std::vector<WayToMultiply> ways,
                 waysToMultiply(on, library, a, weight, bias, out, workspace));
      DCC_ASSIGN(const TunedProduct best,
                 fastestWay(keyOf(shapeOf(a, weight, bias, out)), ways, stopwatch));
      set.add(best);
    }
    line.update(++done, wanted.size());
  }
  return writeTuning(file, tuning);
}

}  // namespace dcc::cuda
