// Runs one rank's plan, step by step. An object without globals: tests run several in one process.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/collectives/whereabouts.h"
#include "runtime/executor/observers.h"
#include "runtime/executor/step.h"
#include "runtime/plan/plan.h"

namespace dcc {

// A result of the last step, f32. Row r, of `cols` elements, starts at data + r * row_stride.
struct OutputView {
  const plan::fb::Output* info = nullptr;  // name, and which columns of the whole these are
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t row_stride = 0;
  std::span<const Largest> largest;  // of each row, where the backend has looked for it

  std::span<const float> row(int64_t r) const {
    return {data + r * row_stride, static_cast<size_t>(cols)};
  }
};

class Executor {
 public:
  // Takes memory for weights, caches and arena, has `load` (WeightLoader::load of runtime/weights)
  // fill the weights and prepares all entries. `plan` is verified. `axes` has one communicator per
  // mesh axis in the plan's order, null for one of size 1 or without collectives; they outlive the
  // executor. Errors: what the backend lacks for this plan, communicators that don't fit the mesh
  // (user); no memory (runtime); what `load` returns.
  static Result<std::unique_ptr<Executor>> create(plan::Plan plan, std::unique_ptr<Backend> backend,
                                                  std::span<Communicator* const> axes,
                                                  const LoadWeights& load);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Runs one step. All ranks run the same one; each blocks in the plan's collectives for the
  // others. Runtime errors: a step outside the plan's bounds or pools (nothing has run then); a
  // failed collective, named with entry, instruction and module path.
  Status run(const Step& step);

  // Of the last successful step; valid until the next one.
  size_t outputCount() const;
  OutputView output(uint32_t index) const;
  // From now on nothing of outputs is read but `largest`, where that is there.
  void wantLargestOnly();

  const plan::Plan& plan() const { return plan_; }
  // Collective. Bytes per second that a copy in the device's memory reads and writes, of all ranks
  // together; 0 where the device is the host. Errors: the group's, the device's.
  Result<double> deviceBandwidth(Communicator& world) const;
  // Backend::tune() for this rank's plan.
  Status tune(const std::string& file) { return backend_->tune(*plan_, memory_, file); }
  // All weights as the backend has them, one after the other.
  std::span<const std::byte> weightMemory() const;

  // From now on `observer`, which outlives the executor, is told of every instruction, after those
  // that watch already.
  void watch(Observer* observer) { observers_.add(observer); }

  // From now on says there where it is; before, nobody sees it. It outlives the executor.
  void publish(Whereabouts& whereabouts);
  // Steps begun so far.
  uint32_t steps() const { return steps_; }

  // What this rank has moved in the collectives of all steps so far.
  const Traffic& traffic() const { return traffic_; }

  // How long it has only waited for a device, in all steps so far.
  std::chrono::nanoseconds waited() const;

  // The entry being run or last run.
  uint32_t entry() const { return entry_; }
  // "entry 'decode', instruction 12 (model.layers.0.self_attn.o_proj)", for messages.
  std::string describe(uint32_t entry, uint32_t instruction) const;

 private:
  Executor(plan::Plan plan, std::unique_ptr<Backend> backend, std::span<Communicator* const> axes);
  Traffic movedSoFar() const;  // by our communicators, whoever used them, and by devices
  Status allocate();
  Status checkStep(const Step& step) const;
  Status checkPages(const Step& step) const;

  plan::Plan plan_;
  std::unique_ptr<Backend> backend_;
  std::vector<Communicator*> axes_;
  PlanMemory memory_;
  Traffic traffic_;
  ObserverList observers_;
  std::vector<std::unique_ptr<Program>> programs_;  // per entry
  std::vector<int64_t> variables_;                  // Plan.variables of the step
  std::vector<int64_t> sizes_;                      // Plan.sizes of the step
  Whereabouts unseen_;
  Whereabouts* here_ = &unseen_;
  uint32_t entry_ = 0;
  uint32_t steps_ = 0;
};

}  // namespace dcc
