#include "runtime/plan/access.h"
#include "runtime/plan/mesh.h"
#include "runtime/plan/plan.h"

namespace dcc::plan {
namespace {

std::vector<uint8_t> serialize(const fb::PlanT& plan) {
  flatbuffers::FlatBufferBuilder builder(64 * 1024);
  fb::FinishPlanBuffer(builder, fb::Plan::Pack(builder, &plan));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

fb::Hash128 toFb(const Hash& hash) { return fb::Hash128(hash.lo, hash.hi); }

}  // namespace

std::vector<uint8_t> pack(fb::PlanT& plan) {
  plan.major = kMajor;
  plan.minor = kMinor;
  // The hashes are of the tables as a reader sees them, hence a first round of bytes.
  std::vector<uint8_t> bytes = serialize(plan);
  const fb::Plan& tables = *fb::GetPlan(bytes.data());
  Hash program = programHash(tables);
  plan.program_hash = std::make_unique<fb::Hash128>(toFb(program));
  plan.collective_hashes.clear();
  for (uint32_t axis = 0; axis < plan.mesh.size(); ++axis) {
    plan.collective_hashes.push_back(toFb(collectiveHash(tables, axis)));
  }
  // Of several ranks only packAll() knows the id; until then a rank has its own.
  if (!plan.compilation_id || worldSize(tables) == 1) {
    plan.compilation_id = std::make_unique<fb::Hash128>(toFb(compilationId({&program, 1})));
  }
  return serialize(plan);
}

std::vector<std::vector<uint8_t>> packAll(std::span<fb::PlanT> ranks) {
  std::vector<Hash> programs;
  for (fb::PlanT& plan : ranks) {
    pack(plan);
    programs.push_back(hashOf(*plan.program_hash));
  }
  std::vector<std::vector<uint8_t>> packed;
  for (fb::PlanT& plan : ranks) {
    plan.compilation_id = std::make_unique<fb::Hash128>(toFb(compilationId(programs)));
    packed.push_back(pack(plan));
  }
  return packed;
}

}  // namespace dcc::plan
