#include "runtime/text/pre_tokenizer.h"

#include "runtime/text/oniguruma.h"

namespace dcc::text {
namespace {

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<PreTokenizer>> steps) : steps_(std::move(steps)) {}

  Status apply(Pieces& pieces) const override {
    for (const auto& step : steps_) DCC_RETURN_IF_ERROR(step->apply(pieces));
    return Status::success();
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

Result<std::unique_ptr<PreTokenizer>> makeSequence(const JsonFields& spec) {
  DCC_ASSIGN(const nlohmann::json* list, spec.array("pretokenizers"));
  std::vector<std::unique_ptr<PreTokenizer>> steps;
  for (size_t i = 0; i < list->size(); ++i) {
    DCC_ASSIGN(auto step,
               makePreTokenizer((*list)[i], spec.where() + "[" + std::to_string(i) + "]"));
    steps.push_back(std::move(step));
  }
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
