// Steps as events of the Chrome trace format ("Trace Event Format", JSON object form), which
// chrome://tracing and https://ui.perfetto.dev open: a process for each rank, in it a row of steps
// and a row of instructions.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/executor/timeline.h"
#include "runtime/plan/plan.h"

namespace dcc::drun {

// A rank's events. Times come and go as nanoseconds of the trace, which begins at 0.
class TraceEvents {
 public:
  // `plan` and `timeline` outlive the object; `clock` brings the timeline's times to the trace's.
  TraceEvents(const plan::fb::Plan& plan, const Timeline& timeline,
              std::function<int64_t(int64_t)> clock)
      : plan_(plan), timeline_(timeline), clock_(std::move(clock)) {}

  // Names of the rank and its rows.
  std::string header() const;

  // When this rank began each of a step's collectives with other ranks, in order.
  std::vector<int64_t> arrivals(uint32_t step) const;

  // One event for the step and one for each instruction: {"name", "cat", "ph": "X", "ts", "dur",
  // "pid", "tid", "args"}, each on a line of its own behind a comma. A collective in which this
  // rank waited for another to begin has an event for the waiting inside of it. `last`: per
  // collective of arrivals() when the last rank began, and which one that was.
  struct Arrival {
    int64_t at = 0;
    uint32_t rank = 0;
  };
  std::string step(uint32_t index, std::span<const Arrival> last) const;

 private:
  const plan::fb::Entry& entryOf(const Timeline::StepTimes& times) const;
  bool exchanges(const plan::fb::Instruction& instruction) const;

  const plan::fb::Plan& plan_;
  const Timeline& timeline_;
  std::function<int64_t(int64_t)> clock_;
};

}  // namespace dcc::drun
