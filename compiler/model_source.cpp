#include "compiler/model_source.h"

#include <filesystem>

#include "compiler/diagnostics.h"
#include "compiler/pipeline.h"
#include "frontends/graph/import_graph.h"
#include "frontends/graph/model_json.h"
#include "frontends/huggingface/import.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;
namespace fs = std::filesystem;

namespace dcc {
namespace {

using Module = OwningOpRef<ModuleOp>;

// The IR says it all; options that would change it are refused rather than ignored.
Result<Module> loadIr(MLIRContext& context, const CompileOptions& options) {
  if (options.tp || options.expert_parallel || options.dp || options.cp || options.pp ||
      !options.tp_plan.empty() || !options.tp_rules.empty() || !options.dtype.empty() ||
      !options.numerics.empty() || !options.weights.empty() || options.max_tokens ||
      options.max_seqs || options.max_seq_len) {
    return userError(
        options.model +
        ": mesh, plan, dtype, numerics, weights and limits are in the IR; edit them there");
  }
  DiagnosticCollector diagnostics(&context);
  Module module = parseSourceFile<ModuleOp>(options.model, ParserConfig(&context));
  if (!module) return diagnostics.error();
  return module;
}

Status addRules(const CompileOptions& options, const graph::ModelJson& file,
                huggingface::ImportOptions& import) {
  std::vector<graph::TpRule> rules;
  if (options.tp_plan.empty() ? file.tp_plan.has_value() : options.tp_plan != "auto") {
    import.auto_plan = false;
    if (options.tp_plan.empty()) {
      rules = *file.tp_plan;
    } else {
      DCC_ASSIGN(rules, graph::readTpPlan(options.tp_plan));
    }
  }
  import.expert_parallel = options.expert_parallel;
  import.first_amendment = import.rules.size();
  for (const std::string& text : options.tp_rules) {
    size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == text.size()) {
      return userError("--tp-rule " + text + ": is no rule; write PATTERN=STRATEGY");
    }
    rules.push_back(
        {text.substr(0, equals), text.substr(equals + 1), "--tp-rule " + text, std::nullopt});
  }
  for (graph::TpRule& rule : rules) {
    import.rules.push_back({std::move(rule.pattern), std::move(rule.strategy),
                            std::move(rule.where), std::move(rule.definition)});
  }
  return Status::success();
}

// A mesh always has the axis tp, its last; the others only where they are more than one rank.
Status addMesh(const CompileOptions& options, const graph::ModelJson& file,
               huggingface::ImportOptions& import) {
  struct Axis {
    const char* name;
    std::optional<int64_t> option, file;
  };
  const Axis axes[] = {{"dp", options.dp, file.dp},
                       {"cp", options.cp, file.cp},
                       {"pp", options.pp, file.pp},
                       {"tp", options.tp, file.tp}};
  for (const Axis& axis : axes) {
    int64_t size = axis.option ? *axis.option : axis.file.value_or(1);
    std::string name = axis.name;
    if (size < 1 || size > 65536) {
      return userError("--" + name + " " + std::to_string(size) + ": a degree is 1 to 65536");
    }
    if (name == "tp" || (name == "dp" && size > 1)) {
      import.mesh.push_back({name, size});
    } else if (size > 1) {
      return userError("--" + name + " " + std::to_string(size) +
                       ": not built yet; tensor and data parallelism (--tp, --dp) are");
    }
  }
  return Status::success();
}

// Nothing where the checkpoint says: auto on a GPU, whose matrix units multiply what is of one
// type.
Result<std::optional<DType>> computeType(const CompileOptions& options,
                                         const graph::ModelJson& file) {
  std::string name = options.dtype;
  if (name.empty() && file.dtype) name = dcc::name(*file.dtype);
  // auto on a CPU: weights keep their own type in memory, arithmetic and activations are f32.
  const bool any = name.empty() || name == "auto";
  if (any && options.target == "cuda") return std::optional<DType>();
  if (any || name == "f32") return std::optional(DType::kF32);
  if (name == "bf16") return std::optional(DType::kBF16);
  if (name == "f16") return std::optional(DType::kF16);
  return userError("--dtype " + name + ": is no type; auto, f32, bf16 and f16 are");
}

Result<std::optional<uint64_t>> dummySeed(const CompileOptions& options,
                                          const graph::ModelJson& file) {
  if (options.weights.empty()) return file.weights.value_or(huggingface::WeightSource{}).dummy_seed;
  std::optional<huggingface::WeightSource> weights =
      huggingface::parseWeightSource(options.weights);
  if (weights) return weights->dummy_seed;
  return userError("--weights " + options.weights + ": " +
                   std::string(huggingface::kWeightSources) + " is expected");
}

// Nobody but its author knows how a graph may be cut.
Status checkGraphPlan(const CompileOptions& options, const graph::ModelJson& file,
                      const huggingface::ImportOptions& import) {
  int64_t tp = import.mesh.back().size;
  if (!import.auto_plan || !import.rules.empty() || tp == 1) return Status::success();
  std::string what = "has no plan of its own; for tp = " + std::to_string(tp) +
                     " a strategy is expected for each module that is cut, "
                     "{\"model.layers.*.mlp.up_proj\": \"colwise\"}";
  if (!options.tp_plan.empty()) return userError("--tp-plan auto: a graph " + what);
  return file.document->at(file.document->root(), "tp_plan").error("tp_plan", "a graph " + what);
}

Result<Module> loadFile(MLIRContext& context, const CompileOptions& options,
                        const graph::ModelJson& file) {
  huggingface::ImportOptions import;
  import.directory = file.model;
  DCC_RETURN_IF_ERROR(addMesh(options, file, import));
  DCC_RETURN_IF_ERROR(addRules(options, file, import));
  DCC_ASSIGN(import.compute, computeType(options, file));
  DCC_ASSIGN(import.dummy_seed, dummySeed(options, file));
  auto limit = [](const char* option, std::optional<int64_t> given, std::optional<int64_t> in_file,
                  int64_t& out) -> Status {
    out = given ? *given : in_file.value_or(0);
    if (given && *given < 1) {
      return userError(std::string(option) + " " + std::to_string(*given) + ": at least 1");
    }
    return Status::success();
  };
  DCC_RETURN_IF_ERROR(
      limit("--max-tokens", options.max_tokens, file.max_tokens, import.max_tokens));
  DCC_RETURN_IF_ERROR(limit("--max-seqs", options.max_seqs, file.max_seqs, import.max_seqs));
  DCC_RETURN_IF_ERROR(
      limit("--max-seq-len", options.max_seq_len, file.max_seq_len, import.max_seq_len));
  if (file.has_graph) DCC_RETURN_IF_ERROR(checkGraphPlan(options, file, import));
  DCC_ASSIGN(Module module, file.has_graph ? graph::importGraph(context, file, import)
                                           : huggingface::importModel(context, import));
  if (options.numerics == "invariant") {
    (*module)->setAttr("nn.numerics", StringAttr::get(&context, options.numerics));
  }
  if (file.prompt) (*module)->setAttr("nn.prompt", StringAttr::get(&context, *file.prompt));
  return module;
}

}  // namespace

Result<Module> loadModel(MLIRContext& context, const CompileOptions& options) {
  fs::path path(options.model);
  std::error_code error;
  if (!fs::exists(path, error)) {
    return userError(options.model +
                     ": no such file or directory; a Hugging Face model directory, "
                     "a model.json or the IR of a phase (.mlir) is compiled");
  }
  graph::ModelJson file;
  if (fs::is_directory(path, error)) {
    file.model = options.model;
  } else if (path.extension() == ".mlir") {
    Result<Module> module = loadIr(context, options);
    if (module.ok() && !(**module)->hasAttr("nn.phase")) {
      return userError(options.model + ": has no attribute nn.phase; it is one of " + phaseNames());
    }
    return module;
  } else if (path.filename() == "config.json") {
    file.model = path.has_parent_path() ? path.parent_path().string() : ".";
  } else {
    DCC_ASSIGN(file, graph::readModelJson(options.model));
  }
  Result<Module> module = loadFile(context, options, file);
  if (module.ok()) (**module)->setAttr("nn.phase", StringAttr::get(&context, "import"));
  return module;
}

}  // namespace dcc
