// The step loop's runner for a real plan.
#pragma once

#include <vector>

#include "runtime/executor/executor.h"
#include "runtime/generate/runner.h"

namespace dcc::generate {

class PlanRunner final : public StepRunner {
 public:
  // The executor outlives the runner.
  explicit PlanRunner(Executor& executor) : executor_(executor) {}

  // Errors (runtime): the executor's; an entry without an output "logits".
  Status run(const Step& step) override;
  LogitsPart logits() const override { return logits_; }
  Traffic traffic() const override { return executor_.traffic(); }

 private:
  Executor& executor_;
  LogitsPart logits_;
};

}  // namespace dcc::generate
