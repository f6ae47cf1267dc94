// An entry of a plan on a GPU: its instructions put into a stream one by one, or, where a step is
// short and its sizes are few (decode), as graphs captured beforehand for some numbers of
// sequences, of which a step takes the next larger one and leaves the rest padding.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/backends/cuda/op.h"
#include "runtime/backends/cuda/step_block.h"

namespace dcc::cuda {

// What all programs of a backend share. Entries run one at a time.
struct Shared {
  Stream stream;
  Event done;
  Constants constants;
  std::unique_ptr<Products> products;
  DeviceMemory product_workspace;
  DeviceMemory scratch, counters;  // Launch.counters
  DeviceGroupOptions group;
  std::vector<std::unique_ptr<DeviceCommunicator>> communicators;
  std::vector<DeviceCommunicator*> axes;  // per mesh axis, null where its size is 1
  int compute_capability = 0;             // 90 for 9.0

  // What the calls on `axes` move, in all.
  Traffic traffic() const;
};

// Numbers of sequences that graphs are captured for, for up to `bound` of them: powers of two, and
// the bound.
std::vector<int64_t> graphBuckets(int64_t bound);
// The first bucket that holds `count`; `buckets` go up and end with the bound.
size_t bucketFor(std::span<const int64_t> buckets, int64_t count);

class CudaProgram final : public Program {
 public:
  // `scratch` of `shared` is as large as all entries' ops need. Collective where the plan is.
  static Result<std::unique_ptr<CudaProgram>> create(Shared& shared, const fb::Plan& plan,
                                                     uint32_t entry, const PlanMemory& memory);
  ~CudaProgram() override;

  Status run(const StepContext& context) override;
  const float* output(uint32_t index) const override { return outputs_[index].host(); }
  void wholeOutputs(bool whole) override { whole_outputs_ = whole; }
  std::chrono::nanoseconds waited() const override { return waited_; }
  Traffic moved() const override { return moved_; }
  std::span<const Largest> largest(uint32_t index) const override {
    return {reinterpret_cast<const Largest*>(outputs_[index].largest_host.data()),
            outputs_[index].rows};
  }

 private:
  struct OutputCopy {
    BufferRef buffer;
    PinnedMemory memory;
    // Of entries with a row for each sequence: each row's largest.
    DeviceMemory largest, scratch;
    PinnedMemory largest_host;
    size_t rows = 0;  // of the last step, that have one
    const float* host() const { return reinterpret_cast<const float*>(memory.data()); }
  };
  // For a number of sequences, with a graph but where it is `whole_`.
  struct Bucket {
    StepBlock layout;
    PinnedMemory host;
    DeviceMemory device;
    std::vector<PagesView> pages;
    std::vector<int64_t> sizes;
    cudaGraphExec_t graph = nullptr;
    Traffic moved = {};  // by each launch of it
  };

  CudaProgram(Shared& shared, const fb::Plan& plan, uint32_t entry, const PlanMemory& memory);
  Status prepareOps();
  Status prepareGraphs();
  Status capture(Bucket& bucket);
  Status copyStep(const Bucket& bucket);
  Status enqueue(uint32_t instruction, const Op& op, const StepState& state);
  Status enqueueAll(const StepState& state, std::atomic<uint32_t>& position);
  Status runObserved(const StepContext& context, const StepState& state);
  Status runTimed(const StepContext& context, const StepState& state);
  Status moveResults(uint32_t instruction, std::span<const int64_t> sizes, cudaMemcpyKind kind);
  void findLargest(const StepState& state);
  Status copyOutputs(std::span<const int64_t> sizes);
  Status wait(std::atomic<uint32_t>* position = nullptr);
  StepState stateOf(const Bucket& bucket, int64_t T, int64_t B,
                    std::span<const int64_t> sizes) const;

  Shared& shared_;
  const fb::Plan& plan_;
  const uint32_t entry_;
  const PlanMemory& memory_;
  std::vector<Op> single_;  // one per instruction, for observers
  std::vector<Op> fused_;
  std::vector<OutputCopy> outputs_;
  bool whole_outputs_ = true;
  Bucket whole_;  // at the entry's bounds, without a graph
  std::vector<int64_t> bucket_sizes_;
  std::vector<Bucket> buckets_;
  std::chrono::nanoseconds waited_{0};
  Traffic moved_;
  // For observers, once there is one: a copy of the arena, and when each op has ended.
  std::vector<std::byte> arena_;
  std::vector<Event> ends_;
};

}  // namespace dcc::cuda
