// Prepared instructions: what a step puts into the stream, and how an instruction of the plan
// becomes that.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/backends/cuda/device_communicator.h"
#include "runtime/backends/cuda/device_memory.h"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/products.h"
#include "runtime/backends/plan_views.h"
#include "runtime/base/status.h"

namespace dcc::cuda {

namespace fb = plan::fb;

// What the ops of a step are told: sizes are those of its padded tokens and sequences.
struct StepState {
  Launch on;
  StepView step;
  std::span<const PagesView> pages;  // per page group
  const int32_t* live_tokens = nullptr;
  std::span<const int64_t> sizes;  // values of Plan.sizes
  std::byte* scratch = nullptr;    // of which every op may use what it asked for
};

// A buffer of the plan; its address, where it is the step's own, and its rows are known in a step
// only.
struct BufferRef {
  Matrix matrix;
  uint32_t rows = 0;  // index into StepState.sizes
  fb::Storage storage = fb::Storage::arena;

  Matrix at(const StepState& s) const {
    Matrix m = matrix;
    m.rows = s.sizes[rows];
    return m;
  }
  // Of a buffer that is the step's own.
  const int32_t* ints(const StepState& s) const {
    return storage == fb::Storage::tokens      ? s.step.tokens
           : storage == fb::Storage::positions ? s.step.positions
                                               : s.step.types;
  }
};

// Enqueues an instruction. Errors are those of collectives; a kernel's are left with the runtime.
using Op = std::function<Status(const StepState&)>;

template <class Run>
Op kernelOp(Run run) {
  return [run = std::move(run)](const StepState& s) {
    run(s);
    return Status::success();
  };
}

// Constants of a plan in device memory, each once.
class Constants {
 public:
  // Error: no memory.
  Result<const float*> at(const fb::Plan& plan, uint32_t index);

 private:
  std::map<uint32_t, DeviceMemory> memory_;
};

// What preparing one entry needs; resolves indices of the verified plan to addresses.
class PrepareContext {
 public:
  PrepareContext(const fb::Plan& plan, uint32_t entry, const PlanMemory& memory,
                 std::span<DeviceCommunicator* const> axes, Constants& constants,
                 Products& products, std::byte* product_workspace);

  BufferRef buffer(uint32_t index) const;
  WeightView weight(uint32_t index) const { return weightView(plan_, memory_, index); }
  // A weight [1, n] of a norm or a bias: always f32.
  const float* vector(uint32_t index) const {
    return reinterpret_cast<const float*>(weight(index).data);
  }
  CacheView cache(uint32_t index) const { return cacheView(plan_, memory_, index); }
  Result<const float*> constant(uint32_t index) { return constants_.at(plan_, index); }
  int64_t constantSize(uint32_t index) const {
    return plan::rows(plan_.constants()->Get(index)->values()).size();
  }

  const fb::Plan& plan() const { return plan_; }
  const fb::Entry& entry() const { return entry_; }
  // Tokens of a sequence at most.
  int64_t longestSequence() const { return static_cast<int64_t>(plan_.max_seq_len()); }
  // Null where the axis has size 1.
  DeviceCommunicator* communicator(uint32_t axis) const { return axes_[axis]; }
  Products& products() const { return products_; }
  std::byte* productWorkspace() const { return product_workspace_; }
  // Plan.sizes at the entry's bounds.
  std::span<const int64_t> maxSizes() const { return max_sizes_; }
  int64_t maxRows(const BufferRef& buffer) const { return max_sizes_[buffer.rows]; }
  int64_t maxSequences() const { return max_sequences_; }

  // An op wants so many bytes of scratch.
  void needScratch(size_t bytes) { scratch_ = std::max(scratch_, bytes); }
  size_t scratch() const { return scratch_; }

 private:
  const fb::Plan& plan_;
  const fb::Entry& entry_;
  const PlanMemory& memory_;
  std::span<DeviceCommunicator* const> axes_;
  Constants& constants_;
  Products& products_;
  std::byte* product_workspace_;
  std::vector<int64_t> max_sizes_;
  int64_t max_sequences_ = 0;
  size_t scratch_ = 0;
};

using Args = OperandArgs<PrepareContext>;

// Null for a kernel that there is none of.
using PrepareKernel = Result<Op> (*)(const Args&);
PrepareKernel findKernel(fb::KernelKind kind);

// Of a rope. Error: no memory for its frequencies.
Result<RopeShape> ropeShape(const Args& args);

Result<Op> prepareGemm(PrepareContext& context, const fb::Gemm& gemm);
// Whether prepareCollective() takes it.
bool hasCollective(const fb::Collective& c);
// `index` is the instruction's.
Result<Op> prepareCollective(PrepareContext& context, const fb::Collective& c, uint32_t index);
// An all_reduce among several ranks, and add_rms_norm of what comes of it and of other rows.
Result<Op> prepareAllReduceAddNorm(PrepareContext& context, const fb::Collective& c, uint32_t index,
                                   const fb::Kernel& norm);

// One op for each instruction; with `fuse` one for several where one launch does, nothing for the
// others of them.
Result<std::vector<Op>> prepareInstructions(PrepareContext& context, bool fuse);

}  // namespace dcc::cuda
