// Plans: whatever the bytes are, loading ends in an error or in a plan that can be walked. A plan's
// hashes would turn away nearly every mutation, so each input is tried again with fresh hashes.
#include <cstdlib>
#include <vector>

#include "plan_generated.h"
#include "runtime/footprint/memory.h"
#include "runtime/plan/access.h"
#include "runtime/plan/common_items.h"
#include "runtime/plan/directory.h"
#include "runtime/plan/mesh.h"
#include "runtime/plan/plan.h"

namespace {

using namespace dcc::plan;

// More ranks would only take longer.
constexpr uint32_t kMostRanks = 4;

void mustBeOneLine(const dcc::Error& error) {
  if (error.message.find('\n') != std::string::npos) std::abort();
}

void tryPlan(std::vector<uint8_t> bytes) {
  dcc::Result<Plan> loaded = Plan::fromBytes(std::move(bytes), "fuzz.dplan");
  if (!loaded.ok()) return mustBeOneLine(loaded.error());
  const Plan& plan = *loaded;
  if (dump(*plan).empty() || commonItems(*plan).empty()) std::abort();
  dcc::footprint::memoryOf(plan, {});
  dcc::footprint::memoryOf(plan, {64, dcc::TransportKind::kTcp});
  for (const fb::Entry* entry : *plan->entries()) {
    std::vector<int64_t> bounds(entry->bounds()->begin(), entry->bounds()->end());
    std::vector<int64_t> sizes(plan->sizes() ? plan->sizes()->size() : 0);
    evaluateSizes(*plan, bounds, sizes);
    evaluateSizes(*plan, std::vector<int64_t>(bounds.size(), 1), sizes);
  }
}

// The same program as every rank of its mesh, side by side.
void tryRanks(const fb::PlanT& plan, uint32_t ranks) {
  std::vector<fb::PlanT> plans;
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    plans.push_back(plan);
    plans.back().rank = rank;
  }
  std::vector<Plan> loaded;
  for (std::vector<uint8_t>& bytes : packAll(plans)) {
    dcc::Result<Plan> one = Plan::fromBytes(std::move(bytes), "fuzz.dplan");
    if (!one.ok()) return mustBeOneLine(one.error());
    loaded.push_back(std::move(one).value());
  }
  dcc::Status status = verifyRanks(loaded, "fuzz");
  if (!status.ok()) mustBeOneLine(status.error());
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
  std::optional<uint32_t> ranks = worldSize(plan);
  if (ranks && *ranks <= kMostRanks) tryRanks(unpacked, *ranks);
  return 0;
}
