// Plans: whatever the bytes are, loading ends in an error or in a plan that can be walked. A plan's
// hashes would turn away nearly every mutation, so each input is tried again with fresh hashes.
#include <cstdlib>
#include <vector>

#include "plan_generated.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"

namespace {

using namespace dcc::plan;

void tryPlan(std::vector<uint8_t> bytes) {
  dcc::Result<Plan> loaded = Plan::fromBytes(std::move(bytes), "fuzz.dplan");
  if (!loaded.ok()) {
    if (loaded.error().message.find('\n') != std::string::npos) std::abort();
    return;
  }
  const Plan& plan = *loaded;
  if (dump(*plan).empty()) std::abort();
  memoryOf(*plan);
  for (const fb::Entry* entry : *plan->entries()) {
    std::vector<int64_t> bounds(entry->bounds()->begin(), entry->bounds()->end());
    std::vector<int64_t> sizes(plan->sizes() ? plan->sizes()->size() : 0);
    evaluateSizes(*plan, bounds, sizes);
    evaluateSizes(*plan, std::vector<int64_t>(bounds.size(), 1), sizes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  tryPlan(bytes);
  flatbuffers::Verifier verifier(bytes.data(), bytes.size());
  if (!fb::VerifyPlanBuffer(verifier)) return 0;
  // Tables that share vectors could unfold into more than memory holds, and unpacking reads them
  // all.
  const fb::Plan& plan = *fb::GetPlan(bytes.data());
  if (!programHash(plan, 1 << 20) || !aligned(plan.collective_hashes())) return 0;
  fb::PlanT unpacked;
  plan.UnPackTo(&unpacked);
  for (const auto& entry : unpacked.entries) {
    for (const auto& instruction : entry->instructions) {
      // A type without a value, which Pack() would follow.
      if (instruction->body.type != fb::Body::NONE && !instruction->body.value) return 0;
    }
  }
  tryPlan(pack(unpacked));
  return 0;
}
