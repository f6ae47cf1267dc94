// What a step is given, in one block of pinned memory that goes to the device in one copy: tokens,
// positions and the like, padded to the sizes that a program was prepared for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "plan_generated.h"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/executor/step.h"

namespace dcc::cuda {

// Where things lie in the block, for up to T tokens of up to B sequences.
class StepBlock {
 public:
  StepBlock(const plan::fb::Plan& plan, int64_t T, int64_t B);

  size_t bytes() const { return bytes_; }
  int64_t T() const { return T_; }
  int64_t B() const { return B_; }

  // Writes the step, which fits; what it leaves free becomes padding (StepView).
  void fill(const Step& step, std::byte* block) const;
  // Writes a step of padding alone.
  void fillEmpty(std::byte* block) const;

  // The device's copy at `block`, of the first T tokens and B sequences.
  StepView view(const std::byte* block, int64_t T, int64_t B) const;
  PagesView pages(const std::byte* block, uint32_t group) const;
  // Tokens of the step that are no padding, in device memory.
  const int32_t* liveTokens(const std::byte* block) const;

 private:
  int64_t T_, B_;
  size_t live_, tokens_, positions_, types_, sequences_, starts_, rope_lengths_;
  std::vector<size_t> tables_;     // per page group
  std::vector<uint32_t> strides_;  // pages of a sequence at most
  size_t bytes_ = 0;
};

}  // namespace dcc::cuda
