// Arcee (AFM): Llama with relu squared in place of a gate.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 4096, .eps = 1e-5, .activation = "relu2"});
  readBiases(config, spec);
  spec.plain_mlp = {".up_proj", ".down_proj"};
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kArcee;
const Family kArcee = {"arcee", "ArceeForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
