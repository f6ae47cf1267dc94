// Mixtures of experts: where a layer's experts are in a checkpoint, and the block that routes to
// them.
#pragma once

#include <span>
#include <string>

#include "frontends/huggingface/config.h"
#include "frontends/huggingface/decoder.h"

namespace dcc::huggingface {

struct MoeSpec {
  int64_t hidden = 0, experts = 0, width = 0;  // width: of one expert's hidden layer
  std::string activation = "silu";
  RouteSpec route;
  std::string router = ".gate";
  // Computed for every token and added; its result may be gated by sigmoid(shared_gate(x)).
  int64_t shared_width = 0;
  std::string shared = ".shared_expert", shared_gate = {};
};

// What a family takes the fields below for where they are left out.
struct MoeDefaults {
  int64_t experts = 0, k = 0, width = 0;
};
// num_experts or num_local_experts, num_experts_per_tok, the expert's width under `width`,
// norm_topk_prob.
MoeSpec readMoe(const ConfigReader& config, const DecoderSpec& decoder, std::string_view width,
                const MoeDefaults& defaults);

// A layer's experts as a checkpoint may have them: one tensor each, `module`.experts.0.gate_proj
// or, as in older ones, block_sparse_moe.experts.0.w1; or all in one, [experts, gate and up,
// hidden].
ExpertsSpec findExperts(const ModelBuilder& b, const std::string& module, const MoeSpec& spec);
// Likewise [experts, hidden, gate and up], in blocks or alternating, and [experts, width, hidden];
// encoded (mxfp4) the last two are exchanged.
ExpertsSpec packedExperts(const ModelBuilder& b, const std::string& module, const MoeSpec& spec,
                          bool alternating);

// Router, experts and shared expert of `module`, whose experts are these.
mlir::Value moe(ModelBuilder& b, const std::string& module, mlir::Value x, const MoeSpec& spec,
                const ExpertsSpec& experts);

// Dense layers as densePlan(), every expert and the shared one as an MLP is.
std::span<const PlanRule> moePlan();
// What --expert-parallel says instead: whole experts.
std::span<const PlanRule> expertPlan();

}  // namespace dcc::huggingface
