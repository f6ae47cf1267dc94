// Llama 1, 2 and 3.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config);
  readBiases(config, spec);
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kLlama;
const Family kLlama = {"llama", "LlamaForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
