#include "compiler/compile.h"

#include <unistd.h>

#include "compiler/emit.h"
#include "compiler/inspect.h"
#include "compiler/ir_text.h"
#include "compiler/load_strategies.h"
#include "compiler/model_source.h"
#include "compiler/pipeline.h"
#include "compiler/rewrites.h"
#include "dialects/dist/Dist.h"
#include "runtime/base/file.h"
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

Status addSideFiles(ModuleOp module, std::vector<plan::ExtraFile>& files) {
  auto checkpoint = module->getAttrOfType<StringAttr>("nn.checkpoint");
  for (const char* name : kSideFiles) {
    std::string path = (checkpoint ? checkpoint.str() : "") + "/" + name;
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
  if (path.empty() || path == "-") return writeAll(STDOUT_FILENO, text, "stdout");
  return writeFile(path, text);
}

}  // namespace

Result<CompileSummary> compile(const CompileOptions& options) {
  std::string last =
      options.stop_after.empty() ? std::string(phases().back().name) : options.stop_after;
  if (!findPhase(last)) return userError("--stop-after " + last + ": there are " + phaseNames());
  if (options.output.empty() && options.stop_after.empty()) {
    return userError("-o: says where the plan goes; name a directory");
  }

  const auto say = [&](const std::string& what) {
    if (options.progress) options.progress("compiling: " + what);
  };
  say("reading the model");
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  for (const std::string& library : options.load_strategies) {
    DCC_RETURN_IF_ERROR(loadStrategies(library));
  }
  DCC_ASSIGN(OwningOpRef<ModuleOp> module, loadModel(context, options));
  DCC_RETURN_IF_ERROR(chooseRewrites(*module, options.rewrites));

  std::vector<plan::ExtraFile> files;
  std::string text;
  DCC_RETURN_IF_ERROR(runPhases(*module, last, [&](const Phase& phase) {
    text = printIr(*module);
    files.push_back({irFileName(phase.name), text});
    const size_t next = static_cast<size_t>(&phase - phases().data()) + 1;
    if (phase.name == last || next == phases().size()) return;
    say(std::string(phases()[next].name) + ", phase " + std::to_string(next + 1) + " of " +
        std::to_string(phases().size()));
  }));
  auto model = (*module)->getAttrOfType<StringAttr>("nn.model");
  CompileSummary summary{model ? model.str() : "", dist::meshOf(*module).worldSize()};
  if (!options.stop_after.empty()) {
    DCC_RETURN_IF_ERROR(writeText(options.output, text));
    return summary;
  }

  const std::string ranks = std::to_string(summary.ranks);
  say("plans of " + ranks + " ranks");
  DCC_ASSIGN(std::vector<plan::fb::PlanT> plans, emitPlans(*module));
  std::vector<std::vector<uint8_t>> packed = plan::packAll(plans);
  // What was just made must pass what every reader checks.
  for (size_t rank = 0; rank < packed.size(); ++rank) {
    say("checking rank " + std::to_string(rank) + " of " + ranks);
    Result<plan::Plan> checked =
        plan::Plan::fromBytes(packed[rank], "rank " + std::to_string(rank));
    if (!checked.ok()) return checked.error();
  }
  DCC_RETURN_IF_ERROR(addSideFiles(*module, files));
  say("writing " + options.output);
  DCC_RETURN_IF_ERROR(plan::writeDirectory(options.output, packed, files));
  return summary;
}

}  // namespace dcc
