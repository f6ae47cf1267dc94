// DeepSeek-V3 and R1: attention whose keys and values come from a narrow latent, experts chosen
// within groups, and shared ones.
#include <cmath>

#include "frontends/huggingface/moe.h"

namespace dcc::huggingface {
namespace {

struct Latent {
  AttentionSpec attention;
  int64_t q_rank = 0, kv_rank = 0;  // q_rank 0: q is projected from x
  int64_t nope = 0, turning = 0;    // columns of a head of q and k, and those that turn
  bool bias = false, interleaved = true;
};

// The norms of latents have transformers' default, whatever the config says of the others.
constexpr double kLatentEps = 1e-6;

mlir::Value attend(ModelBuilder& b, const std::string& module, mlir::Value x, const Latent& l) {
  constexpr char kTable[] = "model.rotary_emb";
  AttentionSpec spec = l.attention;
  const int64_t heads = spec.heads, value = spec.v_dim;
  mlir::Value q = x;
  if (l.q_rank > 0) {
    q = b.linear(module + ".q_a_proj", x, l.q_rank, {.bias = l.bias});
    q = b.rmsNorm(module + ".q_a_layernorm", q, kLatentEps);
  }
  q = b.linear(module + (l.q_rank > 0 ? ".q_b_proj" : ".q_proj"), q, heads * spec.head_dim,
               {.heads = heads});
  q = b.rope(module, q, kTable, spec.head_dim, l.interleaved, l.nope);

  mlir::Value narrow =
      b.linear(module + ".kv_a_proj_with_mqa", x, l.kv_rank + l.turning, {.bias = l.bias});
  std::vector<mlir::Value> parts = b.split(module, narrow, {l.kv_rank, l.turning});
  mlir::Value turned = b.rope(module, parts[1], kTable, l.turning, l.interleaved);
  mlir::Value wide = b.rmsNorm(module + ".kv_a_layernorm", parts[0], kLatentEps);
  wide = b.linear(module + ".kv_b_proj", wide, heads * (l.nope + value), {.heads = heads});
  mlir::Value k = b.sliceHeads(module, wide, l.nope + value, 0, l.nope);
  mlir::Value v = b.sliceHeads(module, wide, l.nope + value, l.nope, value);
  k = b.extendHeads(module, k, turned, l.nope);
  spec.rotates = false;
  return b.attention(module, q, k, v, spec, {});
}

// yarn's stretched positions make scores larger than they were trained to be.
double scoreScale(const ConfigReader& config) {
  std::optional<ConfigReader> rope = config.object("rope_scaling");
  if (!rope) rope = config.object("rope_parameters");
  if (!rope) return 1;
  const double all = rope->numberOr("mscale_all_dim", 0), factor = rope->numberOr("factor", 1);
  if (rope->stringOr("rope_type", rope->stringOr("type", "default")) == "default" || all == 0 ||
      factor <= 1) {
    return 1;
  }
  const double scale = 0.1 * all * std::log(factor) + 1;
  return scale * scale;
}

Latent readLatent(const ConfigReader& config, const DecoderSpec& spec) {
  Latent l;
  l.attention = spec.attention;
  l.q_rank = config.mentions("q_lora_rank") ? config.integerOr("q_lora_rank", 0) : 1536;
  l.kv_rank = config.integerOr("kv_lora_rank", 512);
  l.nope = config.integerOr("qk_nope_head_dim", 128);
  l.turning = config.integerOr("qk_rope_head_dim", 64);
  l.bias = config.booleanOr("attention_bias", false);
  l.interleaved = config.booleanOr("rope_interleave", true);
  l.attention.output_bias = l.bias;
  l.attention.kv_heads = l.attention.heads;
  l.attention.setHeadDim(l.nope + l.turning);
  l.attention.v_dim = config.integerOr("v_head_dim", 128);
  l.attention.scale *= scoreScale(config);
  return l;
}

MoeSpec readExperts(const ConfigReader& config, const DecoderSpec& spec) {
  MoeSpec moe;
  moe.hidden = spec.hidden;
  moe.activation = spec.activation;
  moe.experts = config.integerOr("n_routed_experts", 256, {1, 65536});
  moe.width = config.integerOr("moe_intermediate_size", 2048);
  moe.route.k = config.integerOr("num_experts_per_tok", 8, {1, moe.experts});
  moe.route.scores = "sigmoid";
  moe.route.normalize = config.booleanOr("norm_topk_prob", true);
  moe.route.scale = config.positiveOr("routed_scaling_factor", 2.5);
  moe.route.groups = config.integerOr("n_group", 8, {1, moe.experts});
  moe.route.live = config.integerOr("topk_group", 4, {1, moe.route.groups});
  moe.route.best = 2;
  moe.shared = ".shared_experts";
  moe.shared_width = config.integerOr("n_shared_experts", 1) * moe.width;
  if (moe.experts % moe.route.groups != 0 || moe.experts / moe.route.groups < moe.route.best) {
    config.fail("n_group", "must divide n_routed_experts = " + std::to_string(moe.experts) +
                               ", leaving at least 2 to a group");
  } else if (moe.route.k > moe.route.live * (moe.experts / moe.route.groups)) {
    config.fail("num_experts_per_tok", "is more than topk_group groups have");
  }
  return moe;
}

Result<std::unique_ptr<Model>> read(const ConfigReader& config) {
  DecoderSpec spec = readDecoder(config, {.positions = 4096});
  const Latent latent = readLatent(config, spec);
  const MoeSpec moe = readExperts(config, spec);
  const int64_t dense = config.integerOr("first_k_dense_replace", 3, {0, INT32_MAX});
  DCC_RETURN_IF_ERROR(config.status());
  DCC_ASSIGN(Rope rope, readRope(config, {.rotary_dim = latent.turning,
                                          .max_position_embeddings = spec.positions}));
  spec.ropes.emplace_back("model.rotary_emb", std::move(rope));
  spec.self_attention = [latent](ModelBuilder& b, int64_t, const std::string& module,
                                 mlir::Value x) { return attend(b, module, x, latent); };
  spec.mlp = [moe, dense, width = spec.intermediate](ModelBuilder& b, int64_t i,
                                                     const std::string& module, mlir::Value x) {
    if (i < dense) return b.gatedMlp(module, x, width, moe.activation, false);
    MoeSpec layer = moe;
    layer.route.bias = module + ".gate.e_score_correction_bias";
    return huggingface::moe(b, module, x, layer, findExperts(b, module, layer));
  };
  return makeDecoder(std::move(spec), config);
}

std::span<const PlanRule> plan() {
  static const std::vector<PlanRule> kPlan = [] {
    std::vector<PlanRule> rules(moePlan().begin(), moePlan().end());
    rules.push_back({"model.layers.*.self_attn.q_b_proj", "colwise"});
    rules.push_back({"model.layers.*.self_attn.kv_b_proj", "colwise"});
    return rules;
  }();
  return kPlan;
}

}  // namespace

extern const Family kDeepseekV3;
const Family kDeepseekV3 = {"deepseek_v3", "DeepseekV3ForCausalLM", plan, read, expertPlan};

}  // namespace dcc::huggingface
