// The step loop's runner for a real plan.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/executor/executor.h"
#include "runtime/generate/runner.h"

namespace dcc::generate {

class PlanRunner final : public StepRunner {
 public:
  // `output`: the name of what logits() gives. The executor outlives the runner.
  explicit PlanRunner(Executor& executor, std::string output = "logits")
      : executor_(executor), output_(std::move(output)) {}

  // Errors (runtime): the executor's; an entry without such an output.
  Status run(const Step& step) override;
  LogitsPart logits() const override { return logits_; }
  Traffic traffic() const override { return executor_.traffic(); }
  std::chrono::nanoseconds waited() const override { return executor_.waited(); }

 private:
  Executor& executor_;
  std::string output_;
  LogitsPart logits_;
};

}  // namespace dcc::generate
