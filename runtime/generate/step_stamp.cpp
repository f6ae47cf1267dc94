#include "runtime/generate/step_stamp.h"

#include "runtime/base/hash.h"

namespace dcc::generate {

void StepStamp::mix(std::span<const int32_t> values) {
  state_ = hash64(std::as_bytes(values), state_);
}

void StepStamp::add(const StepData& step) {
  const int32_t head[] = {++steps_, static_cast<int32_t>(step.kind),
                          static_cast<int32_t>(step.entry)};
  mix(head);
  for (const auto* array : {&step.tokens, &step.positions, &step.types, &step.starts,
                            &step.rope_lengths, &step.requests, &step.sampled}) {
    mix(*array);
  }
  for (const StepData::Table& table : step.tables) mix(table.pages);
  group_.stamp(static_cast<uint32_t>(state_));
}

void StepStamp::add(std::span<const int32_t> tokens) {
  mix(tokens);
  group_.stamp(static_cast<uint32_t>(state_));
}

}  // namespace dcc::generate
