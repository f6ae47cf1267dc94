#include "runtime/text/model.h"

#include "runtime/text/oniguruma.h"

namespace dcc::text {

Result<std::unique_ptr<Model>> makeModel(const nlohmann::json& json, const std::string& where) {
  DCC_ASSIGN(const JsonFields spec, JsonFields::of(json, where));
  DCC_ASSIGN(std::string type, spec.stringOr("type", ""));
  if (type.empty()) {
    const nlohmann::json* vocab = spec.find("vocab");
    type = spec.has("merges")                      ? "BPE"
           : spec.has("continuing_subword_prefix") ? "WordPiece"
           : vocab && vocab->is_array()            ? "Unigram"
                                                   : "WordLevel";
  }
  if (type == "BPE") return makeBpe(spec);
  if (type == "WordPiece") return makeWordPiece(spec);
  if (type == "Unigram") return makeUnigram(spec);
  if (type == "WordLevel") return makeWordLevel(spec);
  return spec.error("type", "is \"" + oneLine(type) +
                                "\", which is not supported; BPE, WordPiece, Unigram or WordLevel "
                                "is expected");
}

}  // namespace dcc::text
