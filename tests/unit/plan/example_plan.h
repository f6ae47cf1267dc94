// A small valid plan for tests: a llama of one layer with fused projections, its vocabulary and its
// heads cut over the only axis "tp", and the checkpoint that it reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan_generated.h"
#include "runtime/base/dtype.h"
#include "runtime/base/status.h"

namespace dcc::plan::testing {

inline constexpr uint32_t kVocab = 16, kHidden = 8, kHeads = 4, kKvHeads = 2, kHeadDim = 4;
inline constexpr uint32_t kFfn = 12, kMaxTokens = 8, kMaxSeqs = 2, kTokensPerPage = 4, kPages = 8;
inline constexpr double kEps = 1e-5, kTheta = 10000;

// Entries, in this order.
inline constexpr uint32_t kPrefill = 0;  // last_token, then "logits" cut over tp
inline constexpr uint32_t kDecode = 1;   // the same with T bounded by kMaxSeqs
inline constexpr uint32_t kLogits = 2;   // every position; "logits" gathered to [T, kVocab]

struct ExampleOptions {
  uint32_t ranks = 2;           // 1, 2 or 4 (then KV heads are replicated)
  DType weights = DType::kF32;  // of matrices, in memory
  std::string checkpoint = "/nonexistent";
  std::optional<uint64_t> seed = {};  // the file is drawn by it, around 1 and 0.5 to each side
  fb::Numerics numerics = fb::Numerics::fast;  // invariant: the same sums at 1, 2 and 4 ranks
};

// Bytes of model.safetensors: pseudo-random values around 0, in f32, bf16 and f16. Tensor names are
// Hugging Face's: model.embed_tokens.weight bf16 [16, 8], model.layers.0.self_attn.q_proj.weight
// f32 [16, 8], k_proj f16 [8, 8], v_proj bf16 [8, 8], o_proj bf16 [8, 16], mlp.gate_proj f32
// [12, 8], up_proj f16 [12, 8], down_proj f32 [8, 12], input_layernorm, post_attention_layernorm,
// model.norm f32 [8], lm_head f32 [16, 8].
std::string exampleCheckpoint();
// Writes it to `dir`/model.safetensors.
Status writeExampleCheckpoint(const std::string& dir);

// One plan per rank, not packed yet: change what the test needs, then packAll().
std::vector<fb::PlanT> examplePlans(const ExampleOptions& options = {});

}  // namespace dcc::plan::testing
