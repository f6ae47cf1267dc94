// Phi 3 and 4: Llama with packed projections, q, k and v in one and gate and up in one; longrope.
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {
namespace {

// transformers' own plan gathers what is packed; ours cuts each block of it.
std::span<const PlanRule> plan() {
  static constexpr PlanRule kPlan[] = {
      {"model.embed_tokens", "embedding_rowwise"},
      {"model.layers.*.self_attn.qkv_proj", "packed_colwise"},
      {"model.layers.*.self_attn.o_proj", "rowwise"},
      {"model.layers.*.mlp.gate_up_proj", "packed_colwise"},
      {"model.layers.*.mlp.down_proj", "rowwise"},
      {"lm_head", "colwise"},
  };
  return kPlan;
}

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 4096, .eps = 1e-5, .rotary_factor = 1});
  spec.attention.packed = spec.packed_mlp = true;
  spec.attention.window = readWindow(config, 0);
  spec.original_positions = 4096;
  spec.only_longrope = true;
  return makeDecoder(std::move(spec), config);
}

}  // namespace

extern const Family kPhi3;
const Family kPhi3 = {"phi3", "Phi3ForCausalLM", plan, read};

}  // namespace dcc::huggingface
