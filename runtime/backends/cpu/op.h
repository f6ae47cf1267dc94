// Prepared instructions: what a step runs, and how an instruction of the plan becomes one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/backends/cpu/kernels.h"
#include "runtime/backends/cpu/rotary.h"
#include "runtime/base/status.h"

namespace dcc::cpu {

namespace fb = plan::fb;

// What the ops of a step share. The vectors are sized when the backend prepares its first entry,
// for the plan's bounds, and never move afterwards.
struct StepState {
  ThreadPool* pool = nullptr;
  const Step* step = nullptr;
  std::span<const int64_t> sizes;  // values of Plan.sizes
  std::vector<int32_t> tokens;     // the step's, where the buffers of Storage.tokens lie
  std::vector<int32_t> positions;  // likewise
  std::vector<int32_t> types;      // likewise; all 0 where the step says nothing
  std::byte* scratch = nullptr;    // plan::workspaceBytes(), 64-byte aligned

  SequenceView sequences(uint32_t group) const {
    const Step::PageTable& table = step->page_tables[group];
    return {step->starts, step->positions, table.pages.data(), table.stride};
  }
};

// A buffer of the plan; its rows are known in a step only.
struct BufferRef {
  Matrix matrix;
  uint32_t rows = 0;  // index into StepState.sizes

  Matrix at(const StepState& s) const {
    Matrix m = matrix;
    m.rows = s.sizes[rows];
    return m;
  }
  const int32_t* ints() const { return reinterpret_cast<const int32_t*>(matrix.data); }
};

using Op = std::function<Status(StepState&)>;

// An op that cannot fail.
template <class Run>
Op kernelOp(Run run) {
  return [run = std::move(run)](StepState& s) {
    run(s);
    return Status::success();
  };
}

// What preparing one entry needs; resolves indices of the verified plan to addresses.
class PrepareContext {
 public:
  PrepareContext(const fb::Plan& plan, uint32_t entry, const PlanMemory& memory,
                 std::span<Communicator* const> axes, StepState& state,
                 std::vector<std::unique_ptr<RotaryTable>>& rotary);

  BufferRef buffer(uint32_t index) const;
  WeightView weight(uint32_t index) const;
  // A weight [1, n] of a norm or a bias: always f32.
  const float* vector(uint32_t index) const {
    return reinterpret_cast<const float*>(weight(index).data);
  }
  CacheView cache(uint32_t index) const;
  std::span<const float> constant(uint32_t index) const;
  const RotaryTable* rotary(uint32_t constant, float scale,
                            const std::optional<LongFrequencies>& beyond);

  const fb::Entry& entry() const { return entry_; }
  // Tokens of a sequence at most.
  int64_t longestSequence() const { return static_cast<int64_t>(plan_.max_seq_len()); }
  // Null where the axis has size 1.
  Communicator* communicator(uint32_t axis) const { return axes_[axis]; }
  // Plan.sizes at the entry's bounds.
  std::span<const int64_t> maxSizes() const { return max_sizes_; }

 private:
  const fb::Plan& plan_;
  const fb::Entry& entry_;
  const PlanMemory& memory_;
  std::span<Communicator* const> axes_;
  StepState& state_;
  std::vector<std::unique_ptr<RotaryTable>>& rotary_;
  std::vector<int64_t> max_sizes_;
};

}  // namespace dcc::cpu
