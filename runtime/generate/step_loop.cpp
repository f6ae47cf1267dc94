#include "runtime/generate/step_loop.h"

#include <algorithm>

namespace dcc::generate {
StepLoop::StepLoop(const Limits& limits, Communicator& world, StepRunner& runner, Sampler& sampler)
    : limits_(limits),
      runner_(runner),
      sampler_(sampler),
      broadcast_(limits, world),
      stamp_(world),
      gather_(world) {}

Status StepLoop::run() {
  stamp_.add(step_);
  DCC_RETURN_IF_ERROR(runner_.run(step_.view(tables_)));
  if (step_.kind == StepKind::kScore) return Status::success();
  tokens_.resize(step_.sampled.size());
  DCC_RETURN_IF_ERROR(sampler_.sample(runner_.logits(), step_, tokens_));
  stamp_.add(tokens_);
  return Status::success();
}

Status StepLoop::lead(Scheduler& scheduler, Listener& listener) {
  while (!listener.stopped() && scheduler.next(step_, listener)) {
    DCC_RETURN_IF_ERROR(broadcast_(step_));
    DCC_RETURN_IF_ERROR(run());
    if (step_.kind == StepKind::kScore) DCC_RETURN_IF_ERROR(gatherLogits(&scheduler, &listener));
    scheduler.done(step_, tokens_, listener);
  }
  return Status::success();
}

Status StepLoop::dismiss() {
  step_.clear(limits_.groups.size());
  step_.kind = StepKind::kEnd;
  return broadcast_(step_);
}

Status StepLoop::follow() {
  for (;;) {
    DCC_RETURN_IF_ERROR(broadcast_(step_));
    if (step_.kind == StepKind::kEnd) return Status::success();
    DCC_RETURN_IF_ERROR(run());
    if (step_.kind == StepKind::kScore) DCC_RETURN_IF_ERROR(gatherLogits(nullptr, nullptr));
  }
}

Status StepLoop::gatherLogits(const Scheduler* scheduler, Listener* listener) {
  const LogitsPart part = runner_.logits();
  const size_t block = gatherRows(part.allColumns());
  // Blocks of rows of one sequence.
  for (size_t b = 0; b + 1 < step_.starts.size(); ++b) {
    const auto first = static_cast<size_t>(step_.starts[b]);
    const auto last = static_cast<size_t>(step_.starts[b + 1]);
    for (size_t t = first; t < last; t += block) {
      DCC_ASSIGN(const std::span<const float> rows, gather_(part, t, std::min(block, last - t)));
      if (listener == nullptr) continue;
      const Scheduler::Row row = scheduler->row(b);
      DCC_RETURN_IF_ERROR(listener->onLogits(row.request, row.position + (t - first), rows));
    }
  }
  return Status::success();
}

}  // namespace dcc::generate
