// The step loop: rank 0 decides and broadcasts each step, every rank runs it. No other rank decides
// anything: it follows until it is dismissed.
#pragma once

#include <vector>

#include "runtime/generate/gather.h"
#include "runtime/generate/runner.h"
#include "runtime/generate/sampler.h"
#include "runtime/generate/scheduler.h"
#include "runtime/generate/step_stamp.h"

namespace dcc::generate {

class StepLoop {
 public:
  // One per rank. All of them outlive the loop.
  StepLoop(const Limits& limits, Communicator& world, StepRunner& runner, Sampler& sampler);

  // Rank 0: runs until the scheduler has nothing left to do or the listener has stopped it.
  Status lead(Scheduler& scheduler, Listener& listener);
  // Rank 0: the others' follow() returns.
  Status dismiss();
  // Other ranks: take part in what rank 0 leads, until dismissed.
  Status follow();

  // What this rank has moved in the plan's collectives so far.
  Traffic traffic() const { return runner_.traffic(); }
  // How long it has only waited for a device so far.
  std::chrono::nanoseconds waited() const { return runner_.waited(); }

 private:
  Status run();
  // Brings the logits of the whole vocabulary to rank 0, which gives them to the listener; on the
  // others both are null.
  Status gatherLogits(const Scheduler* scheduler, Listener* listener);

  Limits limits_;
  StepRunner& runner_;
  Sampler& sampler_;
  StepBroadcast broadcast_;
  StepStamp stamp_;
  StepData step_;
  std::vector<Step::PageTable> tables_;
  std::vector<int32_t> tokens_;
  RowGather gather_;
};

}  // namespace dcc::generate
