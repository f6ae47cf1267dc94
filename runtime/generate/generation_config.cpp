#include "runtime/generate/generation_config.h"

#include <unistd.h>

#include "runtime/base/json.h"

namespace dcc::generate {
namespace {

Result<std::vector<int32_t>> ids(const JsonFields& fields, std::string_view key) {
  std::vector<int32_t> ids;
  const nlohmann::json* value = fields.find(key);
  if (value == nullptr) return ids;
  if (!value->is_array()) {
    DCC_ASSIGN(const int64_t id, fields.integer(key, 0, INT32_MAX));
    return std::vector<int32_t>{static_cast<int32_t>(id)};
  }
  for (const nlohmann::json& element : *value) {
    const int64_t id = element.is_number_integer() ? element.get<int64_t>() : -1;
    if (id < 0 || id > INT32_MAX) return fields.error(key, "must be a token id or a list of them");
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

}  // namespace

Result<GenerationConfig> readGenerationConfig(const std::string& dir) {
  GenerationConfig config;
  for (const char* name : {"generation_config.json", "config.json"}) {
    const std::string path = dir + "/" + name;
    if (::access(path.c_str(), F_OK) != 0) continue;
    DCC_ASSIGN(const nlohmann::json root, readJson(path));
    DCC_ASSIGN(const JsonFields fields, JsonFields::of(root, path));
    if (config.eos.empty()) {
      DCC_ASSIGN(config.eos, ids(fields, "eos_token_id"));
    }
    if (!config.bos) {
      DCC_ASSIGN(const std::vector<int32_t> bos, ids(fields, "bos_token_id"));
      if (!bos.empty()) config.bos = bos.front();
    }
  }
  return config;
}

}  // namespace dcc::generate
