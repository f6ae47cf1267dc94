// When each step and each of its instructions ran.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/executor/step.h"

namespace dcc {

// The first steps of a run, as many as fit in memory that is taken beforehand.
class Timeline final : public Observer {
 public:
  // What is kept at most.
  struct Capacity {
    uint32_t steps = 1u << 16;
    uint32_t instructions = 1u << 20;  // of all steps
    uint32_t sequences = 1u << 18;     // of all steps
  };
  // Nanoseconds of steadyNanoseconds().
  struct StepTimes {
    uint32_t entry = 0;
    int64_t begin = 0, end = 0;
    int64_t first = 0;              // when the first instruction began
    std::span<const int64_t> ends;  // of the instructions, each of which begins where the one
                                    // before it ends
    std::span<const SequencePart> sequences;
  };

  // `plan` outlives the object. (An overload and no default argument: GCC wants the defaults of a
  // nested class to be complete.)
  explicit Timeline(const plan::fb::Plan& plan) : Timeline(plan, Capacity()) {}
  Timeline(const plan::fb::Plan& plan, const Capacity& capacity);

  // Before a step, whatever it holds, and after it, when it has run.
  void begin(const Step& step);
  void end(const Step& step);

  Asks asks(uint32_t, uint32_t) const override { return Asks::kTimes; }
  void begins(int64_t begin) override;
  Status ran(const Ran& ran) override;

  uint32_t steps() const { return static_cast<uint32_t>(steps_.size()); }
  StepTimes step(uint32_t index) const;
  // Steps that came when there was no room any more.
  uint64_t dropped() const { return dropped_; }

 private:
  struct Record {
    uint32_t entry;
    uint32_t instruction, instructions;  // in ends_
    uint32_t sequence, sequences;        // in sequences_
    int64_t begin, first, end;
  };

  std::vector<uint32_t> lengths_;  // instructions per entry
  Capacity capacity_;
  // Vectors of a fixed capacity whose pages have been touched.
  std::vector<Record> steps_;
  std::vector<int64_t> ends_;
  std::vector<SequencePart> sequences_;
  uint64_t dropped_ = 0;
  bool recording_ = false;  // the step that runs is kept
};

}  // namespace dcc
