#include "runtime/text/normalizer.h"

#include <functional>
#include <vector>

#include "runtime/text/byte_alphabet.h"
#include "runtime/text/limits.h"
#include "runtime/text/oniguruma.h"
#include "runtime/text/unicode.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

using NormalizerPtr = std::unique_ptr<Normalizer>;

// A normalizer that can't fail.
class Simple : public Normalizer {
 public:
  explicit Simple(std::function<void(std::string&)> change) : change_(std::move(change)) {}
  Status apply(std::string& text) const override {
    change_(text);
    return Status::success();
  }

 private:
  std::function<void(std::string&)> change_;
};

NormalizerPtr simple(std::function<void(std::string&)> change) {
  return std::make_unique<Simple>(std::move(change));
}

// Replaces each character by what `change(c, out)` appends for it.
template <class Change>
NormalizerPtr perChar(Change change) {
  return simple([change](std::string& text) {
    std::string out;
    out.reserve(text.size());
    for (size_t pos = 0; pos < text.size();) change(nextChar(text, pos), out);
    text = std::move(out);
  });
}

NormalizerPtr inForm(NormalForm form) {
  return simple([form](std::string& text) { text = normalForm(form, text); });
}

class Sequence : public Normalizer {
 public:
  explicit Sequence(std::vector<NormalizerPtr> steps) : steps_(std::move(steps)) {}
  Status apply(std::string& text) const override {
    const size_t before = text.size();
    for (const NormalizerPtr& step : steps_) {
      DCC_RETURN_IF_ERROR(step->apply(text));
      DCC_RETURN_IF_ERROR(checkGrowth(before, text.size()));
    }
    return Status::success();
  }

 private:
  std::vector<NormalizerPtr> steps_;
};

// Sequences in sequences become one, so that growth is measured from the beginning.
Status addSteps(const JsonFields& spec, std::vector<NormalizerPtr>& steps) {
  DCC_ASSIGN(const nlohmann::json* list, spec.array("normalizers"));
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string where = spec.where() + "[" + std::to_string(i) + "]";
    DCC_ASSIGN(const JsonFields inner, JsonFields::of((*list)[i], where));
    DCC_ASSIGN(const std::string type, inner.string("type"));
    if (type == "Sequence") {
      DCC_RETURN_IF_ERROR(addSteps(inner, steps));
      continue;
    }
    DCC_ASSIGN(NormalizerPtr step, makeNormalizer(inner.value(), where));
    steps.push_back(std::move(step));
  }
  return Status::success();
}

Result<NormalizerPtr> makeSequence(const JsonFields& spec) {
  std::vector<NormalizerPtr> steps;
  DCC_RETURN_IF_ERROR(addSteps(spec, steps));
  DCC_RETURN_IF_ERROR(checkSteps(spec.where(), steps.size()));
  return NormalizerPtr(std::make_unique<Sequence>(std::move(steps)));
}

Result<NormalizerPtr> makeStrip(const JsonFields& spec) {
  DCC_ASSIGN(const bool left, spec.booleanOr("strip_left", true));
  DCC_ASSIGN(const bool right, spec.booleanOr("strip_right", true));
  return simple([left, right](std::string& text) {
    size_t begin = 0, end = text.size();
    for (size_t pos = begin; left && pos < end; begin = pos) {
      if (!isWhiteSpace(nextChar(text, pos))) break;
    }
    for (size_t pos = end; right && pos > begin; end = pos) {
      if (!isWhiteSpace(previousChar(text, pos))) break;
    }
    text = text.substr(begin, end - begin);
  });
}

Result<NormalizerPtr> makePrepend(const JsonFields& spec) {
  DCC_ASSIGN(const std::string prefix, spec.string("prepend"));
  return simple([prefix](std::string& text) {
    if (!text.empty()) text.insert(0, prefix);
  });
}

// SentencePiece's "nmt" rules: control characters vanish, other separators become spaces.
void appendNmt(char32_t c, std::string& out) {
  const bool vanishes = (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) ||
                        c == 0x7F || c == 0x8F || c == 0x9F;
  const bool is_space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                        (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                        c == 0xFEFF || c == 0xFFFD;
  if (!vanishes) appendUtf8(out, is_space ? U' ' : c);
}

}  // namespace

Result<NormalizerPtr> makeNormalizer(const nlohmann::json& json, const std::string& where) {
  DCC_ASSIGN(const JsonFields spec, JsonFields::of(json, where));
  DCC_ASSIGN(const std::string type, spec.string("type"));
  if (type == "Sequence") return makeSequence(spec);
  if (type == "NFC") return inForm(NormalForm::kNfc);
  if (type == "NFD") return inForm(NormalForm::kNfd);
  if (type == "NFKC") return inForm(NormalForm::kNfkc);
  if (type == "NFKD") return inForm(NormalForm::kNfkd);
  if (type == "Lowercase") {
    return perChar([](char32_t c, std::string& out) { appendLowercase(out, c); });
  }
  if (type == "StripAccents") {
    return perChar([](char32_t c, std::string& out) {
      if (!isMark(c)) appendUtf8(out, c);
    });
  }
  if (type == "Nmt") return perChar(appendNmt);
  if (type == "ByteLevel") {
    return simple([](std::string& text) {
      std::string out;
      appendByteAlphabet(text, out);
      text = std::move(out);
    });
  }
  if (type == "Strip") return makeStrip(spec);
  if (type == "Prepend") return makePrepend(spec);
  if (type == "Replace") return makeReplace(spec);
  if (type == "BertNormalizer") return makeBertNormalizer(spec);
  if (type == "Precompiled") return makePrecompiled(spec);
  return spec.error("type", "is \"" + oneLine(type) +
                                "\", which is not supported; Sequence, NFC, NFD, NFKC, NFKD, "
                                "Lowercase, StripAccents, Nmt, ByteLevel, Strip, Prepend, Replace, "
                                "BertNormalizer or Precompiled is expected");
}

}  // namespace dcc::text
