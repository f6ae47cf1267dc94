#include "runtime/generate/plan_runner.h"

#include "runtime/plan/access.h"

namespace dcc::generate {

Status PlanRunner::run(const Step& step) {
  DCC_RETURN_IF_ERROR(executor_.run(step));
  for (uint32_t i = 0; i < executor_.outputCount(); ++i) {
    const OutputView view = executor_.output(i);
    if (plan::text(view.info->name()) != output_) continue;
    logits_ = {view.data, view.rows, view.cols, view.row_stride, {}, {}};
    logits_.largest = view.largest;
    if (view.info->axis() >= 0) {
      logits_.begins = {view.info->begins()->data(), view.info->begins()->size()};
      logits_.ends = {view.info->ends()->data(), view.info->ends()->size()};
    }
    return Status::success();
  }
  return runtimeError(executor_.describe(step.entry, 0) + ": the entry has no output '" + output_ +
                      "'");
}

}  // namespace dcc::generate
