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
  if (replica.count == 1) stride = 1;
  replica.index = replicaOfRank(plan->rank());
  std::vector<bool> led(replica.count);
  for (uint32_t rank = 0; rank < world; ++rank) {
    const uint32_t of = replicaOfRank(rank);
    if (of == replica.index) replica.ranks.push_back(rank);
    if (!led[of]) replica.leaders.push_back(rank);
    led[of] = true;
  }
  return replica;
}

}  // namespace dcc::drun
