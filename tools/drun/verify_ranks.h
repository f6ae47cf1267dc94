// --verify-ranks: after every step, before anything is made of it, the ranks of a replica compare
// hashes of what its collectives gave them alike (executor/result_hashes.h). One exchange a step,
// of 8 bytes per collective and rank.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/executor/executor.h"
#include "runtime/executor/result_hashes.h"
#include "runtime/generate/runner.h"

namespace dcc::drun {

class VerifyingRunner final : public generate::RunnerAround {
 public:
  // Watches `executor`, whose steps `runner` runs. `group`: the ranks that share collectives, and
  // `ranks` their numbers for messages. All outlive the object.
  VerifyingRunner(Executor& executor, generate::StepRunner& runner, Communicator& group,
                  std::vector<uint32_t> ranks);

  // Error (runtime), beside the runner's: which instruction's result is the first that differs, and
  // whose; said by that rank, of which the others hear.
  Status run(const Step& step) override;

 private:
  Status compare(uint32_t entry, uint32_t step);

  Executor& executor_;
  Communicator& group_;
  std::vector<uint32_t> ranks_;
  ResultHashes hashes_;
  std::vector<uint64_t> all_;  // of every rank, one after the other
};

// Of ranks' hashes, by their place: who does not have what most have, and where as many have the
// one as the other, what the first has.
std::vector<uint32_t> dissenters(const std::vector<uint64_t>& hashes);

}  // namespace dcc::drun
