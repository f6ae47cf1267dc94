// Nemotron 3 and 4, Minitron: layer norms stored as their distance from one, relu squared without a
// gate, half of every head turns.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 4096,
                                          .eps_key = "norm_eps",
                                          .eps = 1e-5,
                                          .activation = "relu2",
                                          .rotary_factor = 0.5});
  readBiases(config, spec);
  spec.norm = DecoderSpec::Norm::kLayerWithBias;
  spec.norm_plus = 1;
  spec.plain_mlp = {".up_proj", ".down_proj"};
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kNemotron;
const Family kNemotron = {"nemotron", "NemotronForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
