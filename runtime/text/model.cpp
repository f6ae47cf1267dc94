#include "runtime/text/model.h"

#include "runtime/text/oniguruma.h"

namespace dcc::text {

Result<std::unique_ptr<Model>> makeModel(const nlohmann::json& json, const std::string& where) {
  DCC_ASSIGN(const JsonFields spec, JsonFields::of(json, where));
  DCC_ASSIGN(std::string type, spec.stringOr("type", ""));
  if (type.empty() && spec.has("merges")) type = "BPE";
  if (type == "BPE") return makeBpe(spec);
  return spec.error("type",
                    "is \"" + oneLine(type) + "\", which is not supported; BPE is expected");
}

}  // namespace dcc::text
