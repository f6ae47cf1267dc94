#include "runtime/generate/limits.h"

#include <algorithm>

#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"

namespace dcc::generate {

uint32_t Limits::maxTokens() const {
  return std::max({prefill.max_tokens, decode.max_tokens, logits.max_tokens, encode.max_tokens});
}

uint32_t Limits::maxSeqs() const {
  return std::max({prefill.max_seqs, decode.max_seqs, logits.max_seqs, encode.max_seqs});
}

Limits limitsOf(const plan::Plan& plan) {
  Limits limits;
  const auto variables = plan::rows(plan->variables());
  const auto entries = plan::rows(plan->entries());
  for (uint32_t e = 0; e < entries.size(); ++e) {
    const plan::fb::Entry& entry = *entries[e];
    EntryLimits found;
    found.index = static_cast<int32_t>(e);
    const auto bounds = plan::rows(entry.bounds());
    for (uint32_t v = 0; v < variables.size() && v < bounds.size(); ++v) {
      const std::string_view name = plan::text(variables[v]);
      const auto bound = static_cast<uint32_t>(std::clamp<int64_t>(bounds[v], 0, INT32_MAX));
      if (name == "T") found.max_tokens = bound;
      if (name == "B") found.max_seqs = bound;
    }
    const std::string_view name = plan::text(entry.name());
    if (name == "prefill") limits.prefill = found;
    if (name == "decode") limits.decode = found;
    if (name == "logits") limits.logits = found;
    if (name == "encode") limits.encode = found;
  }
  for (const plan::fb::PageGroup* group : plan::rows(plan->page_groups())) {
    limits.groups.push_back({std::string(plan::text(group->name())), group->tokens_per_page(),
                             group->pages(), group->window()});
  }
  // Positions are 32-bit.
  limits.max_seq_len = std::min<uint64_t>(plan->max_seq_len(), INT32_MAX);
  limits.vocab_size = plan->vocab_size();
  limits.token_types = plan->token_types();
  return limits;
}

}  // namespace dcc::generate
