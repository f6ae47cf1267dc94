// Instructions in words, for messages.
#pragma once

#include <string>
#include <string_view>

#include "plan_generated.h"
#include "runtime/plan/size_analysis.h"

namespace dcc::plan {

// "gemm", "rms_norm", "all_reduce"; "none" without a body.
std::string_view opName(const fb::Instruction& instruction);

inline bool isPointToPoint(const fb::Collective& collective) {
  return collective.kind() == fb::CollectiveKind::send ||
         collective.kind() == fb::CollectiveKind::recv;
}

// The buffer of a collective whose shape all ranks of its group see alike: the whole, where the
// other is one rank's part; what is sent or received. Null when the entry has no such buffer.
const fb::Buffer* sharedBuffer(const fb::Entry& entry, const fb::Collective& collective);

// "entry 'decode', instruction 12 (model.layers.0.self_attn.o_proj)". What the plan does not have
// is only its number.
std::string placeText(const fb::Plan& plan, uint32_t entry, uint32_t instruction);

// "eps 1e-05".
std::string attrText(const fb::Attr& attr);

// "rope of model.layers.0.self_attn.q_proj, head_dim 64", "all_reduce of model.embed_tokens, f32
// [T, 256]", "all_gather of lm_head, f32 [T, 512], columns 256 + 256". The plan is verified.
std::string describe(const SizeAnalysis& sizes, const fb::Entry& entry,
                     const fb::Instruction& instruction);

}  // namespace dcc::plan
