#include "compiler/compile.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "compiler/budget.h"
#include "compiler/emit.h"
#include "compiler/inspect.h"
#include "compiler/ir_text.h"
#include "compiler/load_strategies.h"
#include "compiler/model_source.h"
#include "compiler/pipeline.h"
#include "compiler/rewrites.h"
#include "dialects/dist/Dist.h"
#include "runtime/base/file.h"
#include "runtime/base/program.h"
#include "runtime/plan/directory.h"
#include "runtime/plan/plan.h"

using namespace mlir;

namespace dcc {
namespace {

// What drun needs of the model directory beside the weights; copied where it is there.
constexpr const char* kSideFiles[] = {
    "config.json",           "generation_config.json",  "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"};
constexpr uint64_t kMostSideBytes = 256u << 20;
// Holds further chat templates, NAME.jinja.
constexpr const char* kTemplateFolder = "additional_chat_templates";

Status addSideFiles(ModuleOp module, std::vector<plan::ExtraFile>& files) {
  auto checkpoint = module->getAttrOfType<StringAttr>("nn.checkpoint");
  const std::string dir = checkpoint ? checkpoint.str() : "";
  std::vector<std::string> names(std::begin(kSideFiles), std::end(kSideFiles));
  std::error_code error;  // mostly, there is no such folder
  for (std::filesystem::directory_iterator it(dir + "/" + kTemplateFolder, error), end;
       !error && it != end; it.increment(error)) {
    const std::filesystem::path& path = it->path();
    if (path.extension() != ".jinja") continue;
    names.push_back(std::string(kTemplateFolder) + "/" + path.filename().string());
  }
  std::sort(names.begin() + std::size(kSideFiles), names.end());
  for (const std::string& name : names) {
    std::string path = dir + "/" + name;
    if (access(path.c_str(), R_OK) != 0) continue;
    DCC_ASSIGN(std::string bytes, readFile(path, kMostSideBytes));
    files.push_back({name, std::move(bytes)});
  }
  if (auto prompt = module->getAttrOfType<StringAttr>("nn.prompt")) {
    files.push_back({"prompt.txt", prompt.str()});
  }
  return Status::success();
}

Status writeText(const std::string& path, const std::string& text) {
  if (!path.empty() && path != "-") return writeFile(path, text);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return flushStdout();
}

// The model and all phases up to `last`.
Result<OwningOpRef<ModuleOp>> lower(MLIRContext& context, const CompileOptions& options,
                                    std::string_view last,
                                    const std::function<void(ModuleOp, const Phase&)>& reached) {
  context.loadAllAvailableDialects();
  DCC_ASSIGN(OwningOpRef<ModuleOp> module, loadModel(context, options));
  DCC_RETURN_IF_ERROR(chooseRewrites(*module, options.rewrites));
  if (options.allow_implicit_gather) {
    (*module)->setAttr(kAllowGatherAttr, UnitAttr::get(&context));
  }
  DCC_RETURN_IF_ERROR(
      runPhases(*module, last, [&](const Phase& phase) { reached(*module, phase); }));
  return module;
}

// Every rank's plan. What was just made must pass what every reader checks.
Result<std::vector<plan::Plan>> plansOf(ModuleOp module,
                                        const std::function<void(const std::string&)>& say) {
  DCC_ASSIGN(std::vector<plan::fb::PlanT> tables, emitPlans(module));
  std::vector<std::vector<uint8_t>> packed = plan::packAll(tables);
  std::vector<plan::Plan> plans;
  for (std::vector<uint8_t>& bytes : packed) {
    const std::string rank = std::to_string(plans.size());
    say("checking rank " + rank + " of " + std::to_string(packed.size()));
    DCC_ASSIGN(plan::Plan plan, plan::Plan::fromBytes(std::move(bytes), "rank " + rank));
    plans.push_back(std::move(plan));
  }
  return plans;
}

// What the largest rank would need with other limits.
Result<uint64_t> memoryWith(const PlanLimits& limits, CompileOptions options) {
  options.max_tokens = limits.max_tokens;
  options.max_seqs = limits.max_seqs;
  options.max_seq_len = limits.max_seq_len;
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  DCC_ASSIGN(OwningOpRef<ModuleOp> module,
             lower(context, options, phases().back().name, [](ModuleOp, const Phase&) {}));
  DCC_ASSIGN(std::vector<plan::Plan> plans, plansOf(*module, [](const std::string&) {}));
  return memoryNeeded(plans);
}

Status checkBudgets(std::span<const plan::Plan> plans, const CompileOptions& options,
                    const std::function<void(const std::string&)>& say) {
  if (options.max_collectives_per_layer) {
    DCC_RETURN_IF_ERROR(checkCollectivesPerLayer(plans, *options.max_collectives_per_layer));
  }
  if (options.memory.empty()) return Status::success();
  DCC_ASSIGN(const uint64_t bytes, parseBytes(options.memory));
  std::function<Result<uint64_t>(const PlanLimits&)> needed;
  if (std::filesystem::path(options.model).extension() != ".mlir") {  // which has its limits in it
    needed = [&](const PlanLimits& limits) {
      say("looking for limits that fit " + options.memory);
      return memoryWith(limits, options);
    };
  }
  return checkMemory(plans, bytes, options.memory, needed);
}

Status checkOptions(const CompileOptions& options) {
  if (!options.stop_after.empty()) {
    if (!findPhase(options.stop_after)) {
      return userError("--stop-after " + options.stop_after + ": there are " + phaseNames());
    }
    if (!options.memory.empty() || options.max_collectives_per_layer) {
      return userError(
          "--stop-after: makes no plan, of which --memory and "
          "--max-collectives-per-layer speak; leave them out");
    }
  } else if (options.output.empty()) {
    return userError("-o: says where the plan goes; name a directory");
  }
  if (!options.memory.empty()) {
    const Result<uint64_t> bytes = parseBytes(options.memory);
    if (!bytes.ok()) return bytes.error();
  }
  return Status::success();
}

}  // namespace

Result<CompileSummary> compile(const CompileOptions& options) {
  DCC_RETURN_IF_ERROR(checkOptions(options));
  const std::string last =
      options.stop_after.empty() ? std::string(phases().back().name) : options.stop_after;
  const auto say = [&](const std::string& what) {
    if (options.progress) options.progress("compiling: " + what);
  };
  say("reading the model");
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  for (const std::string& library : options.load_strategies) {
    DCC_RETURN_IF_ERROR(loadStrategies(library));
  }
  std::vector<plan::ExtraFile> files;
  std::string text;
  const auto reached = [&](ModuleOp module, const Phase& phase) {
    text = printIr(module);
    files.push_back({irFileName(phase.name), text});
    const size_t next = static_cast<size_t>(&phase - phases().data()) + 1;
    if (phase.name == last || next == phases().size()) return;
    say(std::string(phases()[next].name) + ", phase " + std::to_string(next + 1) + " of " +
        std::to_string(phases().size()));
  };
  DCC_ASSIGN(OwningOpRef<ModuleOp> module, lower(context, options, last, reached));
  auto model = (*module)->getAttrOfType<StringAttr>("nn.model");
  CompileSummary summary{model ? model.str() : "", dist::meshOf(*module).worldSize()};
  if (!options.stop_after.empty()) {
    DCC_RETURN_IF_ERROR(writeText(options.output, text));
    return summary;
  }

  say("plans of " + std::to_string(summary.ranks) + " ranks");
  DCC_ASSIGN(std::vector<plan::Plan> plans, plansOf(*module, say));
  DCC_RETURN_IF_ERROR(checkBudgets(plans, options, say));
  std::vector<std::vector<uint8_t>> packed;
  for (const plan::Plan& plan : plans)
    packed.emplace_back(plan.bytes().begin(), plan.bytes().end());
  DCC_RETURN_IF_ERROR(addSideFiles(*module, files));
  say("writing " + options.output);
  DCC_RETURN_IF_ERROR(
      plan::writeDirectory(options.output, packed, files,
                           options.target == "cuda" ? plan::Target::kCuda : plan::Target::kCpu));
  return summary;
}

}  // namespace dcc
