#include "runtime/text/pre_tokenizer.h"

#include "runtime/text/limits.h"
#include "runtime/text/oniguruma.h"

namespace dcc::text {
namespace {

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<PreTokenizer>> steps) : steps_(std::move(steps)) {}

  Status apply(Pieces& pieces) const override {
    const size_t before = pieces.bytes();
    for (const auto& step : steps_) {
      DCC_RETURN_IF_ERROR(step->apply(pieces));
      DCC_RETURN_IF_ERROR(checkGrowth(before, pieces.bytes()));
    }
    return Status::success();
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

// Sequences in sequences become one, so that growth is measured from the beginning.
Status addSteps(const JsonFields& spec, std::vector<std::unique_ptr<PreTokenizer>>& steps) {
  DCC_ASSIGN(const nlohmann::json* list, spec.array("pretokenizers"));
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string where = spec.where() + "[" + std::to_string(i) + "]";
    DCC_ASSIGN(const JsonFields inner, JsonFields::of((*list)[i], where));
    DCC_ASSIGN(const std::string type, inner.string("type"));
    if (type == "Sequence") {
      DCC_RETURN_IF_ERROR(addSteps(inner, steps));
      continue;
    }
    DCC_ASSIGN(auto step, makePreTokenizer(inner.value(), where));
    steps.push_back(std::move(step));
  }
  return Status::success();
}

Result<std::unique_ptr<PreTokenizer>> makeSequence(const JsonFields& spec) {
  std::vector<std::unique_ptr<PreTokenizer>> steps;
  DCC_RETURN_IF_ERROR(addSteps(spec, steps));
  DCC_RETURN_IF_ERROR(checkSteps(spec.where(), steps.size()));
  return std::unique_ptr<PreTokenizer>(std::make_unique<Sequence>(std::move(steps)));
}

}  // namespace

Result<std::unique_ptr<PreTokenizer>> makePreTokenizer(const nlohmann::json& json,
                                                       const std::string& where) {
  DCC_ASSIGN(const JsonFields spec, JsonFields::of(json, where));
  DCC_ASSIGN(const std::string type, spec.string("type"));
  if (type == "Sequence") return makeSequence(spec);
  if (type == "ByteLevel") return makeByteLevel(spec);
  if (type == "Split") return makeSplit(spec);
  if (type == "Metaspace") return makeMetaspace(spec);
  DCC_ASSIGN(std::unique_ptr<PreTokenizer> by_chars, makeCharSplit(type, spec));
  if (by_chars) return by_chars;
  return spec.error("type",
                    "is \"" + oneLine(type) +
                        "\", which is not supported; Sequence, ByteLevel, Split, Metaspace, "
                        "Whitespace, WhitespaceSplit, Punctuation, Digits, "
                        "BertPreTokenizer, UnicodeScripts, FixedLength or "
                        "CharDelimiterSplit is expected");
}

}  // namespace dcc::text
