// --hash-ops: a digest of every op's result in every step, of all ranks, as lines of JSON that
// tools/compare-hashes compares:
//
//   {"step": 0, "entry": "prefill", "op": 12, "module": "model.layers.0.self_attn.o_proj",
//    "kind": "gemm", "result": 0, "partial": true,
//    "ranks": [[rows, cols, sum, sum of squares, largest absolute value], ...]}
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/base/unique_fd.h"
#include "runtime/executor/digests.h"
#include "runtime/executor/executor.h"
#include "runtime/generate/runner.h"

namespace dcc::drun {

class HashingRunner final : public generate::RunnerAround {
 public:
  // Watches `executor`, whose steps `runner` runs; rank 0 writes the file. All of them outlive the
  // object. Error: the file can't be written.
  static Result<std::unique_ptr<HashingRunner>> create(const std::string& path, Executor& executor,
                                                       generate::StepRunner& runner,
                                                       Communicator& world);

  Status run(const Step& step) override;

 private:
  HashingRunner(const std::string& path, Executor& executor, generate::StepRunner& runner,
                Communicator& world);
  Status gather();
  std::string lines(uint32_t entry) const;

  std::string path_;
  const plan::fb::Plan& plan_;
  Communicator& world_;
  Digests digests_;
  UniqueFd file_;  // of rank 0
  uint64_t step_ = 0;
  std::vector<Digest> all_;  // of every rank, one after the other
};

}  // namespace dcc::drun
