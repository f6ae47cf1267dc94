// Llama 4's text model: most layers turn q and k and see the tokens of their own chunk, the others
// do neither and warm q by position; every step-th MLP is a shared expert and others.
#include <algorithm>

#include "frontends/huggingface/moe.h"

namespace dcc::huggingface {
namespace {

struct Attention {
  AttentionSpec full, chunked;
  std::vector<bool> turns, chunks;  // per layer
  bool norms = false, warms = false;
  double warmth = 0, eps = 0;
  int64_t floor = 0;
};

Attention readAttention(const ConfigReader& config, const DecoderSpec& spec) {
  Attention a;
  a.full = a.chunked = spec.attention;
  a.chunked.chunk = config.integerOr("attention_chunk_size", 8192);
  a.norms = config.booleanOr("use_qk_norm", true);
  a.warms = config.booleanOr("attn_temperature_tuning", true);
  a.warmth = config.numberOr("attn_scale", 0.1);
  a.floor = config.integerOr("floor_scale", 8192);
  a.eps = spec.eps;
  const std::vector<int64_t> turns = config.integers("no_rope_layers", {0, 1});
  const int64_t interval = config.integerOr("no_rope_layer_interval", 4);
  const std::vector<std::string> types = readLayerTypes(config, spec.layers);
  if (!turns.empty() && turns.size() != size_t(spec.layers)) {
    config.fail("no_rope_layers",
                "must have one number for each of the " + std::to_string(spec.layers) + " layers");
    return a;
  }
  for (int64_t i = 0; i < spec.layers; ++i) {
    a.turns.push_back(turns.empty() ? (i + 1) % interval != 0 : turns[i] != 0);
    a.chunks.push_back(types.empty() ? a.turns[i] : types[i] == "chunked_attention");
  }
  return a;
}

mlir::Value attend(ModelBuilder& b, int64_t i, const std::string& module, mlir::Value x,
                   const Attention& a) {
  AttentionSpec spec = a.chunks[i] ? a.chunked : a.full;
  const int64_t head_dim = spec.head_dim;
  auto project = [&](const char* name, int64_t heads, bool shared) {
    return b.linear(module + name, x, heads * head_dim,
                    {.bias = spec.bias, .heads = heads, .shared = shared});
  };
  mlir::Value q = project(".q_proj", spec.heads, false);
  mlir::Value k = project(".k_proj", spec.kv_heads, true);
  mlir::Value v = project(".v_proj", spec.kv_heads, true);
  spec.rotates = false;
  if (a.turns[i]) {
    for (mlir::Value* y : {&q, &k}) {
      *y = b.rope(module, *y, "model.rotary_emb", head_dim, /*interleaved=*/true);
      if (a.norms) *y = b.unitNorm(module + ".qk_norm", *y, head_dim, a.eps);
    }
  } else if (a.warms) {
    q = b.temperature(module, q, a.warmth, a.floor);
  }
  return b.attention(module, q, k, v, spec, {});
}

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(
      config, {.positions = 131072, .kv_heads = 8, .head_dim = 128, .eps = 1e-5, .theta = 500000});
  spec.attention.bias = spec.attention.output_bias = config.booleanOr("attention_bias", false);
  spec.mlp_name = ".feed_forward";
  const Attention attention = readAttention(config, spec);
  spec.self_attention = [attention](ModelBuilder& b, int64_t i, const std::string& module,
                                    mlir::Value x) { return attend(b, i, module, x, attention); };
  MoeSpec moe = readMoe(config, spec, "intermediate_size", {16, 1, 8192});
  moe.router = ".router";
  moe.route = {.k = moe.route.k, .scores = "sigmoid"};
  moe.shared_width = moe.width;
  const int64_t width = config.integerOr("intermediate_size_mlp", 16384);
  const int64_t step = config.integerOr("interleave_moe_layer_step", 1);
  const bool listed = config.has("moe_layers");
  const std::vector<int64_t> sparse = config.integers("moe_layers", {0, INT32_MAX});
  spec.mlp = [=](ModelBuilder& b, int64_t i, const std::string& module, mlir::Value x) {
    const bool routed = listed ? std::ranges::find(sparse, i) != sparse.end() : (i + 1) % step == 0;
    if (!routed) return b.gatedMlp(module, x, width, moe.activation, false);
    ExpertsSpec experts = packedExperts(b, module, moe, false);
    experts.scaled_inputs = true;
    return huggingface::moe(b, module, x, moe, experts);
  };
  return makeDecoder(std::move(spec), config);
}

std::span<const PlanRule> plan() {
  // Its experts' matrices are stored as [in, out].
  static constexpr PlanRule kPlan[] = {
      {"model.embed_tokens", "embedding_rowwise"},
      {"model.layers.*.self_attn.q_proj", "colwise"},
      {"model.layers.*.self_attn.k_proj", "colwise"},
      {"model.layers.*.self_attn.v_proj", "colwise"},
      {"model.layers.*.self_attn.o_proj", "rowwise"},
      {"model.layers.*.feed_forward.gate_proj", "colwise"},
      {"model.layers.*.feed_forward.up_proj", "colwise"},
      {"model.layers.*.feed_forward.down_proj", "rowwise"},
      {"model.layers.*.feed_forward.shared_expert.gate_proj", "colwise"},
      {"model.layers.*.feed_forward.shared_expert.up_proj", "colwise"},
      {"model.layers.*.feed_forward.shared_expert.down_proj", "rowwise"},
      {"model.layers.*.feed_forward.experts.gate_up_proj", "packed_rowwise"},
      {"model.layers.*.feed_forward.experts.down_proj", "colwise"},
      {"lm_head", "colwise"},
  };
  return kPlan;
}

std::span<const PlanRule> expertParallel() {
  static constexpr PlanRule kPlan[] = {
      {"model.layers.*.feed_forward.experts.gate_up_proj", "grouped_gemm"},
      {"model.layers.*.feed_forward.experts.down_proj", "grouped_gemm"},
  };
  return kPlan;
}

}  // namespace

extern const Family kLlama4Text;
const Family kLlama4Text = {"llama4_text", "Llama4ForCausalLM", plan, read, expertParallel};

}  // namespace dcc::huggingface
