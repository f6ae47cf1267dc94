#include "runtime/text/chat/special_tokens.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "runtime/base/json.h"

namespace dcc::text {
namespace {

using jinja::Variables;
using nlohmann::json;

// Those that every tokenizer may have.
constexpr std::array<std::string_view, 7> kStandard = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

// A text, or {"content": "<s>", "lstrip": false, ...}.
const json* contentOf(const json& token) {
  if (token.is_string()) return &token;
  if (!token.is_object()) return nullptr;
  const auto content = token.find("content");
  return content != token.end() && content->is_string() ? &*content : nullptr;
}

Status take(const JsonFields& fields, Variables& tokens) {
  for (const auto& [key, value] : fields.value().items()) {
    if (value.is_null()) continue;
    const bool standard = std::find(kStandard.begin(), kStandard.end(), key) != kStandard.end();
    const json* content = contentOf(value);
    if (standard && content == nullptr) {
      return fields.error(key, "is " + std::string(jsonTypeName(value)) +
                                   "; a string or an added token is expected");
    }
    if (standard || (key.ends_with("_token") && content != nullptr)) tokens[key] = *content;
  }
  if (const json* extra = fields.find("extra_special_tokens"); extra && extra->is_object()) {
    for (const auto& [key, value] : extra->items()) {
      if (const json* content = contentOf(value)) tokens[key] = *content;
    }
  }
  return Status::success();
}

}  // namespace

Result<Variables> specialTokens(const json& config, const std::string& path,
                                const std::string& dir) {
  Variables tokens;
  DCC_ASSIGN(const JsonFields fields, JsonFields::of(config, path));
  DCC_RETURN_IF_ERROR(take(fields, tokens));
  const std::string map_path = dir + "/special_tokens_map.json";
  if (fields.has("added_tokens_decoder") || ::access(map_path.c_str(), F_OK) != 0) return tokens;
  DCC_ASSIGN(const json map, readJson(map_path));
  DCC_ASSIGN(const JsonFields more, JsonFields::of(map, map_path));
  DCC_RETURN_IF_ERROR(take(more, tokens));
  return tokens;
}

}  // namespace dcc::text
