#include "runtime/executor/timeline.h"

#include "runtime/plan/access.h"

namespace dcc {
namespace {

// Room for `count` elements that costs no page fault when it is used.
template <class T>
void takeMemory(std::vector<T>& vector, size_t count) {
  vector.resize(count);
  vector.clear();
}

}  // namespace

Timeline::Timeline(const plan::fb::Plan& plan, const Capacity& capacity) : capacity_(capacity) {
  for (const plan::fb::Entry* entry : plan::rows(plan.entries())) {
    lengths_.push_back(plan::rows(entry->instructions()).size());
  }
  takeMemory(steps_, capacity.steps);
  takeMemory(ends_, capacity.instructions);
  takeMemory(sequences_, capacity.sequences);
}

void Timeline::begin(const Step& step) {
  const auto sequences = static_cast<uint32_t>(step.B());
  // An entry that there is not is the executor's to refuse.
  const uint32_t instructions = step.entry < lengths_.size() ? lengths_[step.entry] : 0;
  // Once one is missing, what follows would look as if it came right behind what is there.
  recording_ = dropped_ == 0 && steps_.size() < capacity_.steps &&
               instructions <= capacity_.instructions - ends_.size() &&
               sequences <= capacity_.sequences - sequences_.size();
  if (!recording_) {
    ++dropped_;
    return;
  }
  steps_.push_back({step.entry, static_cast<uint32_t>(ends_.size()), instructions,
                    static_cast<uint32_t>(sequences_.size()), sequences, 0, 0, 0});
  steps_.back().begin = steadyNanoseconds();
}

void Timeline::begins(int64_t begin) {
  if (recording_) steps_.back().first = begin;
}

Status Timeline::ran(const Ran& ran) {
  if (recording_) ends_.push_back(ran.end);
  return Status::success();
}

void Timeline::end(const Step& step) {
  if (!recording_) return;
  steps_.back().end = steadyNanoseconds();
  for (uint32_t b = 0; b < steps_.back().sequences; ++b) {
    const int32_t start = step.starts[b];
    sequences_.push_back({step.positions[start], step.starts[b + 1] - start});
  }
}

Timeline::StepTimes Timeline::step(uint32_t index) const {
  const Record& r = steps_[index];
  return {r.entry,
          r.begin,
          r.end,
          r.first,
          std::span(ends_).subspan(r.instruction, r.instructions),
          std::span(sequences_).subspan(r.sequence, r.sequences)};
}

}  // namespace dcc
