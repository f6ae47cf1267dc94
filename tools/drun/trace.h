// --trace: when every step and instruction of all ranks ran, as a Chrome trace (trace_events.h).
//
// While steps run, every rank only writes times into memory it has taken before (Timeline). At the
// end the ranks tell each other when they began their collectives, and rank 0 writes the file, in
// which all times are its clock's. Ranks on its machine share that clock; those on others compare
// theirs with it before the first step and after the last (collectives/clocks.h), which is right to
// about half of the network's round trip. The file says by how much.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/base/new_file.h"
#include "runtime/collectives/clocks.h"
#include "runtime/executor/executor.h"
#include "runtime/executor/timeline.h"
#include "runtime/generate/runner.h"
#include "tools/drun/trace_events.h"

namespace dcc::drun {

// Rank 0: the file of --trace, made before anything runs; null where none is wanted. Error: it
// cannot be written.
Result<std::unique_ptr<NewFile>> traceFile(const std::string& path);

class TracingRunner final : public generate::RunnerAround {
 public:
  // Collective. Watches `executor`, whose steps `runner` runs; both and `world` outlive the object.
  // `one_host`: all ranks are on one machine. Errors: the group's.
  static Result<std::unique_ptr<TracingRunner>> create(Executor& executor,
                                                       generate::StepRunner& runner,
                                                       Communicator& world, bool one_host);

  Status run(const Step& step) override;

  // Collective, when all steps have run. `file` is rank 0's, named `path`; null on the others.
  Status write(NewFile* file, const std::string& path);

 private:
  using Arrivals = std::vector<TraceEvents::Arrival>;

  TracingRunner(Executor& executor, generate::StepRunner& runner, Communicator& world,
                bool one_host)
      : RunnerAround(runner),
        plan_(*executor.plan()),
        world_(world),
        one_host_(one_host),
        timeline_(plan_) {}
  Result<ClockReading> readClock();
  Result<uint32_t> stepsOfAll();
  Result<Arrivals> lastArrivals(std::vector<int64_t> own);
  Status pass(std::string& text, uint32_t from);

  const plan::fb::Plan& plan_;
  Communicator& world_;
  bool one_host_;
  Timeline timeline_;
  ClockReading before_;
  int64_t origin_ = 0;  // where the trace begins, by rank 0's clock
};

}  // namespace dcc::drun
