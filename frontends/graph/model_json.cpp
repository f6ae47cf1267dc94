#include "frontends/graph/model_json.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "frontends/graph/key_lines.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/nearest.h"
#include "runtime/base/printable.h"

namespace dcc::graph {
namespace {

namespace fs = std::filesystem;

constexpr JsonLimits kLimits{.depth = 16, .bytes = 1 << 20};
constexpr int64_t kMostRanks = 1 << 16;

constexpr std::string_view kKeys[] = {"$schema", "model",      "mesh",     "tp_plan",    "dtype",
                                      "prompt",  "max_tokens", "max_seqs", "max_seq_len"};
constexpr std::string_view kMeshKeys[] = {"tp", "dp", "cp", "pp"};

// RFC 6901: "~" and "/" inside a pointer's token.
std::string escaped(std::string_view key) {
  nlohmann::json::json_pointer pointer;
  pointer.push_back(std::string(key));
  return pointer.to_string().substr(1);
}

// A JSON file that knows the lines of its keys.
class Document {
 public:
  static Result<Document> open(const std::string& path) {
    DCC_ASSIGN(std::string text, readFile(path, kLimits.bytes));
    DCC_ASSIGN(nlohmann::json value, parseJson(text, path, kLimits));
    if (!value.is_object()) {
      return userError(path + ": is " + std::string(jsonTypeName(value)) +
                       "; an object is expected");
    }
    return Document(path, std::move(value), keyLines(text));
  }

  const nlohmann::json& value() const { return value_; }

  // "<path>:<line>" of the key at a JSON pointer; "<path>" when there is none.
  std::string where(const std::string& pointer) const {
    auto line = lines_.find(pointer);
    return line == lines_.end() ? path_ : path_ + ":" + std::to_string(line->second);
  }

  // The fields of the object at `parent`, for reading `key`: errors name that key's line.
  JsonFields at(const std::string& parent, std::string_view key) const {
    const auto& object = value_[nlohmann::json::json_pointer(parent)];
    return *JsonFields::of(object, where(parent + "/" + escaped(key)));
  }

  Status knownKeys(const std::string& parent, std::span<const std::string_view> known) const {
    for (const auto& item : value_[nlohmann::json::json_pointer(parent)].items()) {
      if (std::ranges::find(known, item.key()) != known.end()) continue;
      return at(parent, item.key())
          .error(printable(item.key()),
                 "is no key here; did you mean \"" + nearestName(item.key(), known) + "\"?");
    }
    return Status::success();
  }

 private:
  Document(std::string path, nlohmann::json value, std::map<std::string, size_t> lines)
      : path_(std::move(path)), value_(std::move(value)), lines_(std::move(lines)) {}

  std::string path_;
  nlohmann::json value_;
  std::map<std::string, size_t> lines_;
};

Result<std::vector<TpRule>> readRules(const Document& document, const std::string& parent) {
  std::vector<TpRule> rules;
  for (const auto& item : document.value()[nlohmann::json::json_pointer(parent)].items()) {
    std::string where = document.where(parent + "/" + escaped(item.key()));
    if (!item.value().is_string()) {
      return userError(where + ": " + nlohmann::json(item.key()).dump() + ": is " +
                       std::string(jsonTypeName(item.value())) +
                       "; the name of a strategy is expected (`dcc strategies` lists them)");
    }
    rules.push_back({item.key(), item.value().get<std::string>(), std::move(where)});
  }
  return rules;
}

// `name` as the file `base` means it.
std::string resolve(const std::string& base, const std::string& name) {
  return (fs::path(base).parent_path() / name).lexically_normal().string();
}

Status readModel(const Document& document, ModelJson& out) {
  JsonFields fields = document.at("", "model");
  DCC_ASSIGN(std::string name, fields.string("model"));
  out.model = resolve(out.path, name);
  std::error_code ignored;
  if (name.empty() || !fs::is_directory(out.model, ignored)) {
    return fields.error("model", "\"" + printable(out.model) +
                                     "\" is no directory; a Hugging Face model directory, "
                                     "relative to this file, is expected");
  }
  return Status::success();
}

Status readMesh(const Document& document, ModelJson& out) {
  if (!document.at("", "mesh").has("mesh")) return Status::success();
  DCC_RETURN_IF_ERROR(document.at("", "mesh").object("mesh"));
  DCC_RETURN_IF_ERROR(document.knownKeys("/mesh", kMeshKeys));
  std::optional<int64_t>* degrees[] = {&out.tp, &out.dp, &out.cp, &out.pp};
  for (size_t i = 0; i < std::size(kMeshKeys); ++i) {
    JsonFields fields = document.at("/mesh", kMeshKeys[i]);
    if (!fields.has(kMeshKeys[i])) continue;
    DCC_ASSIGN(*degrees[i], fields.integer(kMeshKeys[i], 1, kMostRanks));
  }
  return Status::success();
}

Status readPlan(const Document& document, ModelJson& out) {
  JsonFields fields = document.at("", "tp_plan");
  const nlohmann::json* plan = fields.find("tp_plan");
  if (!plan || *plan == "auto") return Status::success();
  if (plan->is_object()) {
    DCC_ASSIGN(out.tp_plan, readRules(document, "/tp_plan"));
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
  JsonFields fields = document.at("", "dtype");
  DCC_ASSIGN(std::string name, fields.stringOr("dtype", "auto"));
  if (name == "auto") return Status::success();
  for (DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
    if (name == dcc::name(type)) out.dtype = type;
  }
  if (out.dtype) return Status::success();
  return fields.error("dtype",
                      "is \"" + printable(name) + "\"; auto, f32, bf16 or f16 is expected");
}

Status readLimit(const Document& document, std::string_view key, std::optional<int64_t>& out) {
  JsonFields fields = document.at("", key);
  if (!fields.has(key)) return Status::success();
  DCC_ASSIGN(out, fields.integer(key, 1, INT32_MAX));
  return Status::success();
}

}  // namespace

std::span<const std::string_view> modelJsonKeys() { return kKeys; }
std::span<const std::string_view> meshKeys() { return kMeshKeys; }

Result<ModelJson> readModelJson(const std::string& path) {
  DCC_ASSIGN(Document document, Document::open(path));
  DCC_RETURN_IF_ERROR(document.knownKeys("", kKeys));
  ModelJson out;
  out.path = path;
  DCC_RETURN_IF_ERROR(document.at("", "$schema").stringOr("$schema", ""));
  DCC_RETURN_IF_ERROR(readModel(document, out));
  DCC_RETURN_IF_ERROR(readMesh(document, out));
  DCC_RETURN_IF_ERROR(readPlan(document, out));
  DCC_RETURN_IF_ERROR(readDtype(document, out));
  if (document.at("", "prompt").has("prompt")) {
    DCC_ASSIGN(out.prompt, document.at("", "prompt").string("prompt"));
  }
  DCC_RETURN_IF_ERROR(readLimit(document, "max_tokens", out.max_tokens));
  DCC_RETURN_IF_ERROR(readLimit(document, "max_seqs", out.max_seqs));
  DCC_RETURN_IF_ERROR(readLimit(document, "max_seq_len", out.max_seq_len));
  return out;
}

Result<std::vector<TpRule>> readTpPlan(const std::string& path) {
  DCC_ASSIGN(Document document, Document::open(path));
  return readRules(document, "");
}

}  // namespace dcc::graph
