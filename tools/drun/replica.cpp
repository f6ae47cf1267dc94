#include "tools/drun/replica.h"

#include "runtime/plan/access.h"
#include "runtime/plan/mesh.h"

namespace dcc::drun {

Replica replicaOf(const plan::Plan& plan) {
  Replica replica;
  const uint32_t world = *plan::worldSize(*plan);
  uint32_t stride = world;
  for (const plan::fb::Axis* axis : plan::rows(plan->mesh())) {
    stride /= axis->size();
    if (plan::text(axis->name()) != "dp") continue;
    replica.count = axis->size();
    break;
  }
  const auto replicaOfRank = [&](uint32_t rank) { return rank / stride % replica.count; };
  replica.index = replicaOfRank(plan->rank());
  replica.groups.resize(replica.count);
  for (uint32_t rank = 0; rank < world; ++rank) {
    replica.groups[replicaOfRank(rank)].push_back(rank);
  }
  return replica;
}

}  // namespace dcc::drun
