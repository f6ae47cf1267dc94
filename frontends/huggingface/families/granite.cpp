// Granite: Llama with factors on embeddings, scores, residual and logits.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config);
  readBiases(config, spec);
  spec.attention.scale = config.positiveOr("attention_multiplier", 1);
  spec.embedding_scale = config.positiveOr("embedding_multiplier", 1);
  spec.residual_scale = config.positiveOr("residual_multiplier", 1);
  spec.logit_scale = 1 / config.positiveOr("logits_scaling", 1);
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kGranite;
const Family kGranite = {"granite", "GraniteForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
