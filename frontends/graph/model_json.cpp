#include "frontends/graph/model_json.h"

#include <algorithm>
#include <filesystem>

#include "frontends/graph/strategy_json.h"
#include "runtime/base/printable.h"

namespace dcc::graph {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostRanks = 1 << 16;

constexpr std::string_view kKeys[] = {"$schema", "model",      "graph",    "checkpoint",
                                      "weights", "mesh",       "tp_plan",  "dtype",
                                      "prompt",  "max_tokens", "max_seqs", "max_seq_len"};
constexpr std::string_view kMeshKeys[] = {"tp", "dp", "cp", "pp"};

Result<std::vector<TpRule>> readRules(const Document& document, const nlohmann::json& plan) {
  std::vector<TpRule> rules;
  for (const auto& item : plan.items()) {
    std::string where = document.where(item.value());
    TpRule rule{item.key(), "", where, std::nullopt};
    if (item.value().is_object()) {
      DCC_ASSIGN(rule.definition, readStrategy(document, item.value()));
      rule.strategy = rule.definition->name;
    } else if (item.value().is_string()) {
      rule.strategy = item.value().get<std::string>();
    } else {
      return userError(where + ": " + nlohmann::json(item.key()).dump() + ": is " +
                       std::string(jsonTypeName(item.value())) +
                       "; the name of a strategy (`dcc strategies` lists them) or an object that "
                       "declares one is expected");
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

// `name` as the file `base` means it.
std::string resolve(const std::string& base, const std::string& name) {
  return (fs::path(base).parent_path() / name).lexically_normal().string();
}

// The directory that the key names, relative to the document.
Result<std::string> readDirectory(const Document& document, std::string_view key,
                                  std::string_view what) {
  JsonFields fields = document.at(document.root(), key);
  DCC_ASSIGN(std::string name, fields.string(key));
  std::string directory = resolve(document.path(), name);
  std::error_code ignored;
  if (name.empty() || !fs::is_directory(directory, ignored)) {
    return fields.error(key, "\"" + printable(directory) + "\" is no directory; " +
                                 std::string(what) + ", relative to this file, is expected");
  }
  return directory;
}

// Either a directory with a model in it, or a graph and where its weights are.
Status readModel(const Document& document, ModelJson& out) {
  const nlohmann::json& root = document.root();
  const bool model = document.at(root, "model").has("model");
  out.has_graph = document.at(root, "graph").has("graph");
  if (model == out.has_graph) {
    if (!model) {
      return document.at(root, "model")
          .error("model", "is missing; a Hugging Face model directory is expected, or a graph");
    }
    return document.at(root, "graph")
        .error("graph", "stands beside \"model\"; one of the two is expected");
  }
  const bool checkpoint = document.at(root, "checkpoint").has("checkpoint");
  if (model && checkpoint) {
    return document.at(root, "checkpoint")
        .error("checkpoint", "is a graph's; \"model\" names the directory with the weights too");
  }
  if (model) {
    DCC_ASSIGN(out.model, readDirectory(document, "model", "a Hugging Face model directory"));
  } else if (checkpoint) {
    DCC_ASSIGN(out.model, readDirectory(document, "checkpoint", "a directory with safetensors"));
  } else {
    out.model = fs::path(document.path()).parent_path().string();
    if (out.model.empty()) out.model = ".";
  }
  return Status::success();
}

Status readWeights(const Document& document, ModelJson& out) {
  JsonFields fields = document.at(document.root(), "weights");
  if (!fields.has("weights")) return Status::success();
  DCC_ASSIGN(std::string name, fields.string("weights"));
  out.weights = huggingface::parseWeightSource(name);
  if (!out.weights) {
    return fields.error("weights", "is \"" + printable(name) + "\"; " +
                                       std::string(huggingface::kWeightSources) + " is expected");
  }
  return Status::success();
}

Status readMesh(const Document& document, ModelJson& out) {
  JsonFields root = document.at(document.root(), "mesh");
  if (!root.has("mesh")) return Status::success();
  DCC_ASSIGN(JsonFields mesh, root.object("mesh"));
  DCC_RETURN_IF_ERROR(document.knownKeys(mesh.value(), kMeshKeys));
  std::optional<int64_t>* degrees[] = {&out.tp, &out.dp, &out.cp, &out.pp};
  for (size_t i = 0; i < std::size(kMeshKeys); ++i) {
    JsonFields fields = document.at(mesh.value(), kMeshKeys[i]);
    if (!fields.has(kMeshKeys[i])) continue;
    DCC_ASSIGN(*degrees[i], fields.integer(kMeshKeys[i], 1, kMostRanks));
  }
  return Status::success();
}

Status readPlan(const Document& document, ModelJson& out) {
  JsonFields fields = document.at(document.root(), "tp_plan");
  const nlohmann::json* plan = fields.find("tp_plan");
  if (!plan || *plan == "auto") return Status::success();
  if (plan->is_object()) {
    DCC_ASSIGN(out.tp_plan, readRules(document, *plan));
  } else if (plan->is_string()) {
    DCC_ASSIGN(out.tp_plan, readTpPlan(resolve(out.path, plan->get<std::string>())));
  } else {
    return fields.error("tp_plan", "is " + std::string(jsonTypeName(*plan)) +
                                       "; \"auto\", an object from pattern to strategy or the "
                                       "name of a file with one is expected");
  }
  return Status::success();
}

Status readDtype(const Document& document, ModelJson& out) {
  constexpr std::string_view kAuto = "auto";
  JsonFields fields = document.at(document.root(), "dtype");
  DCC_ASSIGN(std::string name, fields.stringOr("dtype", std::string(kAuto)));
  if (name == kAuto) return Status::success();
  for (DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
    if (name == dcc::name(type)) out.dtype = type;
  }
  if (out.dtype) return Status::success();
  return fields.error("dtype",
                      "is \"" + printable(name) + "\"; auto, f32, bf16 or f16 is expected");
}

Status readLimit(const Document& document, std::string_view key, std::optional<int64_t>& out) {
  JsonFields fields = document.at(document.root(), key);
  if (!fields.has(key)) return Status::success();
  DCC_ASSIGN(out, fields.integer(key, 1, INT32_MAX));
  return Status::success();
}

}  // namespace

std::span<const std::string_view> modelJsonKeys() { return kKeys; }
std::span<const std::string_view> meshKeys() { return kMeshKeys; }

Result<ModelJson> readModelJson(const std::string& path) {
  DCC_ASSIGN(DocumentPtr opened, Document::open(path));
  const Document& document = *opened;
  DCC_RETURN_IF_ERROR(document.knownKeys(document.root(), kKeys));
  ModelJson out;
  out.path = path;
  out.document = opened;
  DCC_RETURN_IF_ERROR(document.at(document.root(), "$schema").stringOr("$schema", ""));
  DCC_RETURN_IF_ERROR(readModel(document, out));
  DCC_RETURN_IF_ERROR(readWeights(document, out));
  DCC_RETURN_IF_ERROR(readMesh(document, out));
  DCC_RETURN_IF_ERROR(readPlan(document, out));
  DCC_RETURN_IF_ERROR(readDtype(document, out));
  if (document.at(document.root(), "prompt").has("prompt")) {
    DCC_ASSIGN(out.prompt, document.at(document.root(), "prompt").string("prompt"));
  }
  DCC_RETURN_IF_ERROR(readLimit(document, "max_tokens", out.max_tokens));
  DCC_RETURN_IF_ERROR(readLimit(document, "max_seqs", out.max_seqs));
  DCC_RETURN_IF_ERROR(readLimit(document, "max_seq_len", out.max_seq_len));
  return out;
}

Result<std::vector<TpRule>> readTpPlan(const std::string& path) {
  DCC_ASSIGN(DocumentPtr document, Document::open(path));
  return readRules(*document, document->root());
}

}  // namespace dcc::graph
