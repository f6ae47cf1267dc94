#include "runtime/backends/cuda/cuda_backend.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "runtime/backends/check_plan.h"
#include "runtime/backends/cuda/program.h"
#include "runtime/backends/cuda/random_weights.h"
#include "runtime/backends/cuda/tune_plan.h"
#include "runtime/base/checked.h"
#include "runtime/base/printable.h"
#include "runtime/plan/access.h"

namespace dcc {
namespace cuda {
namespace {

// Weights go to the device through two of these in turns: while one is copied the other is read.
constexpr size_t kStagingBytes = size_t{64} << 20;
constexpr size_t kAlignment = 64;

// For tests and comparisons; what is measured differs from run to run.
constexpr const char* kFuseNormsVariable = "DRUN_FUSE_NORMS";

Result<FuseNorms> fuseNormsFromEnvironment() {
  const char* text = std::getenv(kFuseNormsVariable);
  const std::string_view word = text != nullptr ? text : "measured";
  if (word == "measured") return FuseNorms::kMeasured;
  if (word == "always") return FuseNorms::kAlways;
  if (word == "never") return FuseNorms::kNever;
  return userError(std::string(kFuseNormsVariable) + ": " + printable(word) +
                   "; measured, always or never is right");
}

class CudaBackend final : public Backend {
 public:
  static Result<std::unique_ptr<Backend>> create(const CudaOptions& options) {
    auto backend = std::make_unique<CudaBackend>();
    int devices = 0;
    if (const cudaError_t error = cudaGetDeviceCount(&devices);
        error != cudaSuccess || devices == 0) {
      cudaGetLastError();
      return userError(std::string("--device cuda: this machine has no GPU that CUDA can use (") +
                       (error != cudaSuccess ? cudaGetErrorString(error) : "none is visible") +
                       "); run with --device cpu, or see `drun doctor`");
    }
    backend->device_ = static_cast<int>(options.local_rank % devices);
    DCC_RETURN_IF_ERROR(cuda::check(cudaSetDevice(backend->device_), "taking a GPU"));
    int major = 0, minor = 0;
    DCC_RETURN_IF_ERROR(cuda::check(
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, backend->device_),
        "asking for the GPU's kind"));
    DCC_RETURN_IF_ERROR(cuda::check(
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, backend->device_),
        "asking for the GPU's kind"));
    backend->shared_.compute_capability = major * 10 + minor;
    if (major < 8) {
      return userError("--device cuda: this GPU has compute capability " + std::to_string(major) +
                       "." + std::to_string(minor) + "; 8.0 (A100) or later is needed");
    }
    backend->shared_.group.transport = options.transport;
    backend->shared_.group.deadline = options.deadline;
    DCC_ASSIGN(backend->shared_.group.fuse_norms, fuseNormsFromEnvironment());
    backend->shared_.group.overlap = backend->shared_.compute_capability >= 90;
    DCC_ASSIGN(backend->shared_.stream, Stream::create());
    DCC_ASSIGN(backend->shared_.done, Event::create());
    DCC_RETURN_IF_ERROR(backend->openProducts(options.tuning_file));
    return std::unique_ptr<Backend>(std::move(backend));
  }

  std::string_view name() const override { return "cuda"; }

  Status check(const fb::Plan& plan) const override;
  Result<double> copyBandwidth() override;
  std::span<const std::string> notes() const override { return notes_; }
  Status tune(const fb::Plan& plan, const PlanMemory& memory, const std::string& file) override {
    return tunePlan(plan, memory, shared_.products->library(), shared_.product_workspace.data(),
                    shared_.stream.get(), file);
  }
  Result<std::byte*> allocate(MemoryUse, size_t bytes) override {
    DCC_ASSIGN(DeviceMemory memory, DeviceMemory::allocate(bytes));
    memory_.push_back(std::move(memory));
    return memory_.back().data();
  }
  Status upload(const fb::Plan& plan, std::span<const std::span<uint8_t>> weights,
                const LoadWeights& load) override;
  Result<std::unique_ptr<Program>> prepare(const fb::Plan& plan, uint32_t entry,
                                           const PlanMemory& memory,
                                           std::span<Communicator* const> axes) override;

 private:
  Status openProducts(const std::string& tuning_file) {
    OpenedLibrary opened = openMatrixLibrary();
    if (!opened.note.empty()) notes_.push_back(opened.note);
    DCC_ASSIGN(TuningSet tuned, tuningFor(*opened.library, tuning_file, notes_));
    shared_.products = std::make_unique<Products>(std::move(opened.library), std::move(tuned));
    DCC_ASSIGN(shared_.product_workspace,
               DeviceMemory::allocate(shared_.products->workspaceBytes()));
    return Status::success();
  }

  int device_ = 0;
  std::vector<std::string> notes_;
  std::vector<DeviceMemory> memory_;
  Shared shared_;
};

Status CudaBackend::check(const fb::Plan& plan) const {
  return checkPlan(plan, {.name = "cuda",
                          .has_kernel = [](fb::KernelKind k) { return findKernel(k) != nullptr; },
                          .has_collective = hasCollective,
                          .max_head_dim = kMaxHeadDim,
                          .invariant = false});
}

// The best of a few copies of 1 GiB, or of what is easily there.
Result<double> CudaBackend::copyBandwidth() {
  size_t free = 0, total = 0;
  DCC_RETURN_IF_ERROR(cuda::check(cudaMemGetInfo(&free, &total), "asking for free memory"));
  const size_t bytes = std::clamp(free / 8, size_t{1} << 20, size_t{1} << 30);
  DCC_ASSIGN(const DeviceMemory from, DeviceMemory::allocate(bytes));
  DCC_ASSIGN(const DeviceMemory to, DeviceMemory::allocate(bytes));
  DCC_ASSIGN(const Event begin, Event::create(cudaEventDefault));
  DCC_ASSIGN(const Event end, Event::create(cudaEventDefault));
  const cudaStream_t stream = shared_.stream.get();
  float best = 0;
  for (int i = 0; i < 10; ++i) {
    cudaEventRecord(begin.get(), stream);
    cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, stream);
    cudaEventRecord(end.get(), stream);
    DCC_RETURN_IF_ERROR(cuda::check(cudaEventSynchronize(end.get()), "measuring a copy"));
    float milliseconds = 0;
    DCC_RETURN_IF_ERROR(cuda::check(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()),
                                    "measuring a copy"));
    if (best == 0 || milliseconds < best) best = milliseconds;
  }
  return 2.0 * static_cast<double>(bytes) / (best * 1e-3);
}

Status CudaBackend::upload(const fb::Plan& plan, std::span<const std::span<uint8_t>> weights,
                           const LoadWeights& load) {
  struct Staging {
    PinnedMemory memory;
    Event copied;
  };
  Staging stagings[2];
  for (Staging& staging : stagings) {
    DCC_ASSIGN(staging.memory, PinnedMemory::allocate(kStagingBytes));
    DCC_ASSIGN(staging.copied, Event::create());
  }
  const cudaStream_t stream = shared_.stream.get();
  // What exists only as a seed is made where it is wanted.
  std::vector<uint32_t> loaded;
  for (uint32_t i = 0; i < weights.size(); ++i) {
    if (drawsWeight(plan, i)) {
      drawWeight({.stream = stream}, plan, i, reinterpret_cast<std::byte*>(weights[i].data()));
    } else {
      loaded.push_back(i);
    }
  }
  DCC_RETURN_IF_ERROR(cuda::check(cudaGetLastError(), "drawing random weights"));
  size_t next = 0;  // of `loaded`
  size_t done = 0;  // bytes of it
  for (uint32_t turn = 0; next < loaded.size(); ++turn) {
    Staging& staging = stagings[turn % 2];
    DCC_RETURN_IF_ERROR(
        cuda::check(cudaEventSynchronize(staging.copied.get()), "bringing weights to the GPU"));
    std::vector<WeightPart> parts;
    std::vector<std::byte*> places;
    size_t used = 0;
    while (next < loaded.size() && used + kAlignment <= kStagingBytes) {
      const uint32_t weight = loaded[next];
      // An element has at most 4 bytes, so that all parts end between two.
      const size_t bytes = std::min(weights[weight].size() - done, kStagingBytes - used);
      parts.push_back(
          {weight, done, {reinterpret_cast<uint8_t*>(staging.memory.data()) + used, bytes}});
      places.push_back(reinterpret_cast<std::byte*>(weights[weight].data()) + done);
      used += alignUp(bytes, kAlignment);
      done += bytes;
      if (done < weights[weight].size()) break;
      ++next;
      done = 0;
    }
    DCC_RETURN_IF_ERROR(load(parts));
    for (size_t i = 0; i < parts.size(); ++i) {
      DCC_RETURN_IF_ERROR(
          cuda::check(cudaMemcpyAsync(places[i], parts[i].memory.data(), parts[i].memory.size(),
                                      cudaMemcpyHostToDevice, stream),
                      "bringing weights to the GPU"));
    }
    DCC_RETURN_IF_ERROR(
        cuda::check(cudaEventRecord(staging.copied.get(), stream), "bringing weights to the GPU"));
  }
  return cuda::check(cudaStreamSynchronize(stream), "bringing weights to the GPU");
}

Result<std::unique_ptr<Program>> CudaBackend::prepare(const fb::Plan& plan, uint32_t entry,
                                                      const PlanMemory& memory,
                                                      std::span<Communicator* const> axes) {
  if (shared_.scratch.size() == 0) {
    shared_.group.number = plan.rank();
    for (Communicator* axis : axes) {
      if (axis == nullptr) {
        shared_.axes.push_back(nullptr);
        continue;
      }
      DCC_ASSIGN(auto communicator, deviceCommunicator(*axis, shared_.group));
      shared_.axes.push_back(communicator.get());
      shared_.communicators.push_back(std::move(communicator));
    }
    // Of all entries, before a graph has its address.
    size_t scratch = 1;
    for (uint32_t i = 0; i < plan::rows(plan.entries()).size(); ++i) {
      PrepareContext context(plan, i, memory, shared_.axes, shared_.constants, *shared_.products,
                             shared_.product_workspace.data());
      DCC_RETURN_IF_ERROR(prepareInstructions(context, true));
      scratch = std::max(scratch, context.scratch());
    }
    DCC_ASSIGN(shared_.scratch, DeviceMemory::allocate(scratch));
    DCC_ASSIGN(shared_.counters, DeviceMemory::allocate(kCounters * sizeof(uint32_t)));
  }
  DCC_ASSIGN(auto program, CudaProgram::create(shared_, plan, entry, memory));
  return std::unique_ptr<Program>(std::move(program));
}

}  // namespace
}  // namespace cuda

Result<std::unique_ptr<Backend>> makeCudaBackend(const CudaOptions& options) {
  return cuda::CudaBackend::create(options);
}

}  // namespace dcc
