#include "runtime/text/normalizer.h"

#include "runtime/text/oniguruma.h"

namespace dcc::text {

Result<std::unique_ptr<Normalizer>> makeNormalizer(const nlohmann::json& json,
                                                   const std::string& where) {
  DCC_ASSIGN(const JsonFields spec, JsonFields::of(json, where));
  DCC_ASSIGN(const std::string type, spec.string("type"));
  return spec.error(
      "type", "is \"" + oneLine(type) + "\", which is not supported; no normalizer is expected");
}

}  // namespace dcc::text
