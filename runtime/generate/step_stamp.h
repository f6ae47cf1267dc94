// What the ranks of a group have run so far: the number of steps, what each was, and the tokens
// they drew. Every collective carries it as a checksum (Communicator::stamp), so that ranks which
// are not at one step, or not of one mind about a token, find out at the next of them.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/collectives/communicator.h"
#include "runtime/generate/step_data.h"

namespace dcc::generate {

class StepStamp {
 public:
  explicit StepStamp(Communicator& group) : group_(group) {}

  // Every rank has received this step; in order.
  void add(const StepData& step);
  // Every rank has drawn these tokens.
  void add(std::span<const int32_t> tokens);

 private:
  void mix(std::span<const int32_t> values);

  Communicator& group_;
  uint64_t state_ = 0;
  int32_t steps_ = 0;
};

}  // namespace dcc::generate
