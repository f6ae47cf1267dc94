// Size expressions for tests.
#pragma once

#include <memory>
#include <vector>

#include "runtime/plan/plan.h"
#include "runtime/plan/size_analysis.h"

namespace dcc::plan::testing {

// A pool that starts with T, B and is built up node by node.
class SizePool {
 public:
  SizePool() {
    plan_.variables = {"T", "B"};
    add(fb::SizeOp::variable, kT);
    add(fb::SizeOp::variable, kB);
  }
  uint32_t add(fb::SizeOp op, uint32_t a, uint32_t b = 0) {
    plan_.sizes.push_back({op, a, b, 0});
    return static_cast<uint32_t>(plan_.sizes.size()) - 1;
  }
  uint32_t constant(int64_t value) {
    plan_.sizes.push_back({fb::SizeOp::constant, 0, 0, value});
    return static_cast<uint32_t>(plan_.sizes.size()) - 1;
  }
  Result<SizeAnalysis> analyze(std::shared_ptr<SizeAtoms> atoms = std::make_shared<SizeAtoms>()) {
    bytes_ = pack(plan_);
    return SizeAnalysis::of(*fb::GetPlan(bytes_.data()), "x.dplan", std::move(atoms));
  }
  fb::PlanT& plan() { return plan_; }

 private:
  fb::PlanT plan_;
  std::vector<uint8_t> bytes_;
};

}  // namespace dcc::plan::testing
