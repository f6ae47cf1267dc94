// Helium: Llama whose pairs of neighbours turn, without a bias on the output.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(
      config, {.positions = 4096, .kv_heads = 20, .head_dim = 128, .eps = 1e-8, .theta = 100000});
  readBiases(config, spec);
  spec.attention.output_bias = false;
  spec.attention.interleaved = true;
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kHelium;
const Family kHelium = {"helium", "HeliumForCausalLM", densePlan, read};

}  // namespace dcc::huggingface
