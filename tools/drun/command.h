// What rank 0 does with a step loop. prepare() comes before the weights are read, so that a mistake
// in the input costs no time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/generate/step_loop.h"
#include "tools/drun/bench_report.h"
#include "tools/drun/deal.h"
#include "tools/drun/options.h"
#include "tools/drun/stdio.h"

namespace dcc::drun {

class RankZeroCommand {
 public:
  virtual ~RankZeroCommand() = default;
  virtual Status prepare(const generate::Limits& limits) = 0;
  // How long the sequences may become that it will run, in tokens, some or all at once; after
  // prepare().
  virtual std::vector<uint64_t> lengths() const = 0;
  // How tokens are drawn; after prepare().
  virtual generate::SamplingOptions sampling() const { return {}; }
  virtual Status run(generate::StepLoop& loop) = 0;
  // The same over several replicas, of a command that makes use of them.
  virtual Status deal(Dealer&) { return runtimeError("this command is for one replica"); }
};

// `waiting` is called while a command waits for its input or output. The options outlive it.
std::unique_ptr<RankZeroCommand> generateCommand(const Options& options, Waiting waiting);
std::unique_ptr<RankZeroCommand> chatCommand(const Options& options, Waiting waiting);
std::unique_ptr<RankZeroCommand> logitsCommand(const Options& options, Waiting waiting);
// The facts are there before run().
std::unique_ptr<RankZeroCommand> benchCommand(const Options& options, const BenchFacts& facts,
                                              Waiting waiting);

}  // namespace dcc::drun
