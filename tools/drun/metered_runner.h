// `drun bench` on CPUs: between decode steps all ranks read their weights with a plain loop, so
// that decoding is held to what the memory gives in the same moments. Memory that machines share
// with others is at times twice as fast as at others.
#pragma once

#include <memory>
#include <span>

#include "runtime/backends/cpu/memory.h"
#include "runtime/backends/cpu/thread_pool.h"
#include "runtime/generate/runner.h"
#include "tools/drun/bench_times.h"

namespace dcc::drun {

class MeteredRunner final : public generate::RunnerAround {
 public:
  // Collective. Reads `weights`, or other memory where caches may hold those of the `local_ranks`
  // of this machine, and adds to `reading`. All but `local_ranks` and `threads` outlive the object.
  // Errors: the group's, no memory.
  static Result<std::unique_ptr<MeteredRunner>> create(generate::StepRunner& inner,
                                                       std::span<const std::byte> weights,
                                                       uint32_t threads, uint32_t local_ranks,
                                                       Communicator& world, Reading& reading);

  // Reads first, in some steps of one token a sequence: the first after a prompt is one.
  Status run(const Step& step) override;

 private:
  MeteredRunner(generate::StepRunner& inner, uint32_t threads, Communicator& world,
                Reading& reading)
      : RunnerAround(inner), pool_(threads), world_(world), reading_(reading) {}

  cpu::ThreadPool pool_;
  Communicator& world_;
  Reading& reading_;
  cpu::Memory own_;  // where weights will not do
  std::span<const std::byte> memory_;
  double all_bytes_ = 0;       // of all ranks
  uint64_t decode_steps_ = 0;  // since the last step that read a prompt
};

}  // namespace dcc::drun
