#include "frontends/huggingface/sentence_transformers.h"

#include <filesystem>

#include "runtime/base/json.h"
#include "runtime/base/printable.h"

namespace dcc::huggingface {
namespace {

constexpr JsonLimits kLimits{.depth = 16, .bytes = 1 << 20};

// Before version 5.2 a flag for each way, since then one name or several.
Status readHow(const std::string& path, SentencePooling& pooling) {
  DCC_ASSIGN(const nlohmann::json json, readJson(path, kLimits));
  DCC_ASSIGN(const JsonFields fields, JsonFields::of(json, path));
  std::string ways;
  for (const auto& [key, value] : json.items()) {
    constexpr std::string_view kFlag = "pooling_mode_";
    if (!key.starts_with(kFlag) || value != true) continue;
    std::string way = key.substr(kFlag.size());
    if (way.ends_with("_tokens")) way.resize(way.size() - 7);
    if (way.ends_with("_token")) way.resize(way.size() - 6);
    ways += (ways.empty() ? "" : " and ") + way;
  }
  if (ways.empty()) {
    DCC_ASSIGN(ways, fields.string("pooling_mode"));
  }
  if (ways != "mean" && ways != "cls") {
    return fields.error("pooling_mode",
                        "'" + printable(ways) + "' is not supported; mean or cls is");
  }
  pooling.how = ways == "cls" ? "first" : "mean";
  return Status::success();
}

}  // namespace

Result<std::optional<SentencePooling>> readSentencePooling(const std::string& config) {
  const std::filesystem::path directory = std::filesystem::path(config).parent_path();
  const std::string path = directory / "modules.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::optional<SentencePooling>();
  SentencePooling pooling;
  DCC_ASSIGN(const nlohmann::json modules, readJson(path, kLimits));
  if (!modules.is_array()) return userError(path + ": must be a list of modules");
  for (size_t i = 0; i < modules.size(); ++i) {
    const std::string where = path + ": [" + std::to_string(i) + "]";
    DCC_ASSIGN(const JsonFields module, JsonFields::of(modules[i], where));
    DCC_ASSIGN(const std::string type, module.string("type"));
    DCC_ASSIGN(const std::string place, module.string("path"));
    const std::string kind = type.substr(type.rfind('.') + 1);
    if (kind == "Pooling" && pooling.how.empty()) {
      DCC_RETURN_IF_ERROR(readHow(directory / place / "config.json", pooling));
    } else if (kind == "Normalize" && !pooling.how.empty()) {
      pooling.normalizes = true;
    } else if (kind != "Transformer" || i != 0) {
      return module.error("type", "'" + printable(type) +
                                      "' is not supported here; Transformer, Pooling and Normalize "
                                      "are, in this order");
    }
  }
  if (pooling.how.empty()) return std::optional<SentencePooling>();
  const std::string limits = directory / "sentence_bert_config.json";
  if (std::filesystem::exists(limits, error)) {
    DCC_ASSIGN(const nlohmann::json json, readJson(limits, kLimits));
    DCC_ASSIGN(const JsonFields fields, JsonFields::of(json, limits));
    if (fields.has("max_seq_length")) {
      DCC_ASSIGN(pooling.longest, fields.integer("max_seq_length", 1, INT32_MAX));
    }
  }
  return std::optional<SentencePooling>(std::move(pooling));
}

}  // namespace dcc::huggingface
