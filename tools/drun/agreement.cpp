#include "tools/drun/agreement.h"

#include <string>
#include <vector>

#include "runtime/plan/access.h"
#include "runtime/plan/mesh.h"

namespace dcc::drun {

Status checkAgreement(const plan::Plan& plan, Communicator& world) {
  struct Card {
    Hash compilation;
    uint32_t rank;
    uint32_t world_size;
  };
  Card own;
  own.compilation = plan->compilation_id() ? plan::hashOf(*plan->compilation_id()) : Hash{};
  own.rank = plan->rank();
  own.world_size = plan::worldSize(*plan).value_or(0);
  std::vector<Card> cards(world.size());
  const std::vector<size_t> bytes(world.size(), sizeof(Card));
  DCC_RETURN_IF_ERROR(world.allGather(&own, cards.data(), bytes));
  for (uint32_t r = 0; r < world.size(); ++r) {
    const std::string who = "rank " + std::to_string(r);
    if (cards[r].rank != r || cards[r].world_size != world.size()) {
      return userError(who + ": runs the plan of rank " + std::to_string(cards[r].rank) + " of " +
                       std::to_string(cards[r].world_size) + "; its own of " +
                       std::to_string(world.size()) + " is right");
    }
    if (cards[r].compilation != cards[0].compilation) {
      return userError(who + ": runs a plan of compilation " + cards[r].compilation.hex() +
                       ", rank 0 of " + cards[0].compilation.hex() +
                       "; all plans must come from one `dcc compile`");
    }
  }
  return Status::success();
}

}  // namespace dcc::drun
