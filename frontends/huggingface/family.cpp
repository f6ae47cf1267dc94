#include "frontends/huggingface/family.h"

namespace dcc::huggingface {

extern const Family kArcee, kBert, kBertModel, kBertTokens, kCohere, kCohere2, kDeepseekV3,
    kDistilBert, kDistilBertModel, kDistilBertTokens, kErnie45, kExaone4, kGemma, kGemma2, kGemma3,
    kGlm, kGlm4, kGptOss, kGranite, kHelium, kLlama, kLlama4Text, kMistral, kMixtral, kNemotron,
    kOlmo2, kPhi, kPhi3, kQwen2, kQwen2Moe, kQwen3, kQwen3Moe, kRoberta, kRobertaModel,
    kRobertaTokens, kSeedOss, kSmolLm3, kStarcoder2, kXlmRoberta, kXlmRobertaModel,
    kXlmRobertaTokens;

static const Family* const kFamilies[] = {
    &kArcee,
    &kBert,
    &kBertModel,
    &kBertTokens,
    &kCohere,
    &kCohere2,
    &kDeepseekV3,
    &kDistilBert,
    &kDistilBertModel,
    &kDistilBertTokens,
    &kErnie45,
    &kExaone4,
    &kGemma,
    &kGemma2,
    &kGemma3,
    &kGlm,
    &kGlm4,
    &kGptOss,
    &kGranite,
    &kHelium,
    &kLlama,
    &kLlama4Text,
    &kMistral,
    &kMixtral,
    &kNemotron,
    &kOlmo2,
    &kPhi,
    &kPhi3,
    &kQwen2,
    &kQwen2Moe,
    &kQwen3,
    &kQwen3Moe,
    &kRoberta,
    &kRobertaModel,
    &kRobertaTokens,
    &kSeedOss,
    &kSmolLm3,
    &kStarcoder2,
    &kXlmRoberta,
    &kXlmRobertaModel,
    &kXlmRobertaTokens,
};

const Family* findFamily(const ConfigReader& config) {
  for (const Family* family : kFamilies) {
    if (family->architecture == config.architecture()) return family;
  }
  for (const Family* family : kFamilies) {
    if (config.architecture().empty() && family->model_type == config.modelType()) return family;
  }
  return nullptr;
}

std::string familyNames() {
  std::string names;
  for (const Family* family : kFamilies) {
    names += (names.empty() ? "" : ", ") + std::string(family->architecture);
  }
  return names;
}

}  // namespace dcc::huggingface
