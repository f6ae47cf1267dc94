// What the step loop asks of whoever executes steps.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "runtime/backends/backend.h"
#include "runtime/base/status.h"
#include "runtime/collectives/communicator.h"
#include "runtime/executor/step.h"

namespace dcc::generate {

// This rank's part of a step's logits, or of another output that a runner is for, [rows, columns]:
// all of the vocabulary, or where `begins`
// and `ends` are given columns [begins[rank], ends[rank]) of it.
struct LogitsPart {
  const float* data = nullptr;
  int64_t rows = 0;  // sequences of the step ("prefill", "decode") or its tokens ("logits")
  int64_t columns = 0;
  int64_t row_stride = 0;                  // elements
  std::span<const uint64_t> begins, ends;  // per rank, or empty
  // Of each row, where the device has found it; `data` may then be out of date
  // (Executor::wantLargestOnly).
  std::span<const Largest> largest = {};

  // Columns of all ranks' parts together; those that several ranks hold count for each.
  size_t allColumns() const {
    size_t sum = begins.empty() ? static_cast<size_t>(columns) : 0;
    for (size_t r = 0; r < begins.size(); ++r) sum += ends[r] - begins[r];
    return sum;
  }
};

class StepRunner {
 public:
  virtual ~StepRunner() = default;
  // The same step on every rank. Errors name the op's module.
  virtual Status run(const Step& step) = 0;
  // Of the last step; valid until the next.
  virtual LogitsPart logits() const = 0;
  // What this rank has moved in the collectives of all steps so far.
  virtual Traffic traffic() const { return {}; }
  // How long it has only waited for a device, in all steps so far.
  virtual std::chrono::nanoseconds waited() const { return {}; }
};

// One that does more about the steps of another, which outlives it.
class RunnerAround : public StepRunner {
 public:
  explicit RunnerAround(StepRunner& inner) : inner_(inner) {}
  Status run(const Step& step) override { return inner_.run(step); }
  LogitsPart logits() const override { return inner_.logits(); }
  Traffic traffic() const override { return inner_.traffic(); }
  std::chrono::nanoseconds waited() const override { return inner_.waited(); }

 private:
  StepRunner& inner_;
};

}  // namespace dcc::generate
