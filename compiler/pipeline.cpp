#include "compiler/pipeline.h"

#include "compiler/diagnostics.h"
#include "compiler/rewrites.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"

using namespace mlir;

namespace dcc {

static constexpr Phase kPhases[] = {
    {"import", "the model as it was read, whole shapes", [](OpPassManager&, ModuleOp) {}},
    {"annotate", "weights cut as the tp_plan says",
     [](OpPassManager& pm, ModuleOp) {
       pm.addPass(createAnnotate());
       pm.addPass(createFixSums());
     }},
    {"shard", "every value has its placement",
     [](OpPassManager& pm, ModuleOp module) {
       ShardOptions options;
       options.gather = module->hasAttr(kAllowGatherAttr);
       pm.addPass(createShard(options));
       pm.addPass(createVerifySharding());
     }},
    {"collectives", "every exchange between ranks is an op",
     [](OpPassManager& pm, ModuleOp) {
       pm.addPass(createVerifySharding());
       pm.addPass(createCollectives());
       pm.addPass(createVerifySharding());
     }},
    {"optimize", "fewer exchanges, fused layers",
     [](OpPassManager& pm, ModuleOp module) {
       pm.addPass(createVerifySharding());
       addRewrites(pm, module);
       pm.addPass(createVerifySharding());
       pm.addPass(createFuseBias());
       pm.addPass(createFuseGatedActivation());
       pm.addPass(createFuseResidualNorm());
       pm.addPass(createFuseLinears());
       pm.addPass(createVerifySharding());
     }},
    {"localize", "local shapes, one program per class of ranks",
     [](OpPassManager& pm, ModuleOp) {
       pm.addPass(createVerifySharding());
       pm.addPass(createLocalize());
     }},
    {"schedule", "kernels on buffers",
     [](OpPassManager& pm, ModuleOp) { pm.addPass(createSchedule()); }},
    {"allocate", "buffers placed in the arena",
     [](OpPassManager& pm, ModuleOp) { pm.addPass(createAllocate()); }},
    {"specialize", "what each rank holds of every weight",
     [](OpPassManager& pm, ModuleOp) { pm.addPass(createSpecialize()); }},
};

std::span<const Phase> phases() { return kPhases; }

const Phase* findPhase(std::string_view name) {
  for (const Phase& phase : kPhases) {
    if (phase.name == name) return &phase;
  }
  return nullptr;
}

std::string phaseNames() {
  std::string names;
  for (const Phase& phase : kPhases) {
    names += (names.empty() ? "" : ", ") + std::string(phase.name);
  }
  return names;
}

Status runPhases(ModuleOp module, std::string_view last,
                 const std::function<void(const Phase&)>& reached) {
  auto at = module->getAttrOfType<StringAttr>("nn.phase");
  const Phase* phase = at ? findPhase(std::string_view(at.getValue())) : nullptr;
  if (!phase) {
    return userError("the IR has no attribute nn.phase; it is one of " + phaseNames());
  }
  DiagnosticCollector diagnostics(module.getContext());
  for (;; ++phase) {
    if (phase != findPhase(std::string_view(at.getValue()))) {
      PassManager pm(module.getContext());
      phase->addPasses(pm, module);
      if (failed(pm.run(module))) return diagnostics.error();
      module->setAttr("nn.phase", StringAttr::get(module.getContext(), StringRef(phase->name)));
      at = module->getAttrOfType<StringAttr>("nn.phase");
    }
    reached(*phase);
    if (phase->name == last || phase == &kPhases[std::size(kPhases) - 1]) return Status::success();
  }
}

void registerDialects(DialectRegistry& registry) {
  registry.insert<func::FuncDialect, dist::DistDialect, nn::NNDialect, planir::PlanDialect>();
}

}  // namespace dcc
