#include "runtime/generate/step_loop.h"

#include <algorithm>

#include "runtime/generate/gather.h"

namespace dcc::generate {
StepLoop::StepLoop(const Limits& limits, Communicator& world, StepRunner& runner, Sampler& sampler)
    : limits_(limits),
      world_(world),
      runner_(runner),
      sampler_(sampler),
      broadcast_(limits, world) {}

Status StepLoop::run() {
  DCC_RETURN_IF_ERROR(runner_.run(step_.view(tables_)));
  if (step_.kind == StepKind::kScore) return Status::success();
  tokens_.resize(step_.sampled.size());
  return sampler_.sample(runner_.logits(), step_, tokens_);
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
  const size_t vocab = limits_.vocab_size;
  const bool cut = !part.begins.empty();
  const uint32_t ranks = cut ? world_.size() : 1;
  const auto columns = [&](uint32_t r) { return cut ? part.ends[r] - part.begins[r] : vocab; };
  const auto own = static_cast<size_t>(part.columns);
  size_t sum = 0;
  for (uint32_t r = 0; r < ranks; ++r) sum += columns(r);
  const size_t block = gatherRows(sum);

  // Blocks of rows of one sequence.
  for (size_t b = 0; b + 1 < step_.starts.size(); ++b) {
    const auto first = static_cast<size_t>(step_.starts[b]);
    const auto last = static_cast<size_t>(step_.starts[b + 1]);
    for (size_t t = first; t < last; t += block) {
      const size_t n = std::min(block, last - t);
      packed_.resize(n * own);
      for (size_t i = 0; i < n; ++i) {
        std::copy_n(part.data + (t + i) * part.row_stride, own, packed_.data() + i * own);
      }
      std::vector<float>* source = &packed_;
      if (ranks > 1) {
        std::vector<size_t> bytes(ranks);
        for (uint32_t r = 0; r < ranks; ++r) bytes[r] = n * columns(r) * sizeof(float);
        gathered_.resize(n * sum);
        DCC_RETURN_IF_ERROR(world_.allGather(packed_.data(), gathered_.data(), bytes));
        source = &gathered_;
      }
      if (listener == nullptr) continue;
      rows_.assign(n * vocab, 0);
      const float* from = source->data();
      for (uint32_t r = 0; r < ranks; ++r) {
        for (size_t i = 0; i < n; ++i, from += columns(r)) {
          std::copy_n(from, columns(r), rows_.data() + i * vocab + (cut ? part.begins[r] : 0));
        }
      }
      const Scheduler::Row row = scheduler->row(b);
      DCC_RETURN_IF_ERROR(listener->onLogits(row.request, row.position + (t - first), rows_));
    }
  }
  return Status::success();
}

}  // namespace dcc::generate
