#include "runtime/text/truncation.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "runtime/base/json.h"

namespace dcc::text {
namespace {

Result<std::optional<nlohmann::json>> readIfThere(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return std::optional<nlohmann::json>();
  DCC_ASSIGN(nlohmann::json json, readJson(path, {.bytes = uint64_t{128} << 20}));
  return std::optional<nlohmann::json>(std::move(json));
}

// "right", or "Right" in tokenizer.json.
Status readSide(const JsonFields& fields, const char* key, bool& left) {
  if (!fields.has(key)) return Status::success();
  DCC_ASSIGN(std::string side, fields.string(key));
  std::transform(side.begin(), side.end(), side.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (side != "left" && side != "right") return fields.error(key, "must be left or right");
  left = side == "left";
  return Status::success();
}

}  // namespace

Result<Truncation> readTruncation(const std::string& dir, uint64_t longest) {
  Truncation truncation{longest};
  const std::string tokenizer = dir + "/tokenizer.json", config = dir + "/tokenizer_config.json";
  DCC_ASSIGN(const std::optional<nlohmann::json> rules, readIfThere(tokenizer));
  if (rules) {
    DCC_ASSIGN(const JsonFields fields, JsonFields::of(*rules, tokenizer));
    if (fields.has("truncation")) {
      DCC_ASSIGN(const JsonFields own, fields.object("truncation"));
      DCC_RETURN_IF_ERROR(readSide(own, "direction", truncation.left));
    }
  }
  DCC_ASSIGN(const std::optional<nlohmann::json> json, readIfThere(config));
  if (!json) return truncation;
  DCC_ASSIGN(const JsonFields fields, JsonFields::of(*json, config));
  DCC_RETURN_IF_ERROR(readSide(fields, "truncation_side", truncation.left));
  if (fields.has("model_max_length")) {
    // Where nobody knows, 1e30 stands there.
    DCC_ASSIGN(const double most, fields.number("model_max_length"));
    if (!(most >= 1)) return fields.error("model_max_length", "must be at least 1");
    if (most < static_cast<double>(longest)) truncation.most = static_cast<uint64_t>(most);
  }
  return truncation;
}

}  // namespace dcc::text
