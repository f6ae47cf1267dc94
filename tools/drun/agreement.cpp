#include "tools/drun/agreement.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "runtime/plan/access.h"
#include "runtime/plan/common_items.h"
#include "runtime/plan/mesh.h"

namespace dcc::drun {
namespace {

// More than any plan has to say; what another build might send instead.
constexpr uint64_t kLongestText = 64 << 20;

struct Card {
  Hash compilation;
  uint32_t rank;
  uint32_t world_size;
};

Result<std::vector<Card>> exchangeCards(const plan::Plan& plan, Communicator& world) {
  Card own;
  own.compilation = plan->compilation_id() ? plan::hashOf(*plan->compilation_id()) : Hash{};
  own.rank = plan->rank();
  own.world_size = plan::worldSize(*plan).value_or(0);
  std::vector<Card> cards(world.size());
  const std::vector<size_t> bytes(world.size(), sizeof(Card));
  DCC_RETURN_IF_ERROR(world.allGather(&own, cards.data(), bytes));
  return cards;
}

// Texts of all ranks, in rank order.
Result<std::vector<std::string>> exchangeTexts(const std::string& own, Communicator& world) {
  std::vector<uint64_t> lengths(world.size());
  const uint64_t length = own.size();
  DCC_RETURN_IF_ERROR(world.allGather(&length, lengths.data(),
                                      std::vector<size_t>(world.size(), sizeof(uint64_t))));
  const std::vector<size_t> bytes(lengths.begin(), lengths.end());
  if (std::ranges::max(bytes) > kLongestText) {
    return userError("the ranks run different builds of drun; one build on all hosts is right");
  }
  size_t total = 0;
  for (const size_t n : bytes) total += n;
  std::string all(total, '\0');
  DCC_RETURN_IF_ERROR(world.allGather(own.data(), all.data(), bytes));
  std::vector<std::string> texts;
  size_t at = 0;
  for (const size_t n : bytes) {
    texts.push_back(all.substr(at, n));
    at += n;
  }
  return texts;
}

// The items of a plan by their hashes, 16 bytes each: some thousand of a large model.
std::string digestsOf(const std::vector<std::string>& items) {
  std::string digests(items.size() * sizeof(Hash), '\0');
  for (size_t i = 0; i < items.size(); ++i) {
    const Hash hash =
        hashBytes({reinterpret_cast<const uint8_t*>(items[i].data()), items[i].size()});
    std::memcpy(digests.data() + i * sizeof(Hash), &hash, sizeof(Hash));
  }
  return digests;
}

// Where the plans of `rank` and rank 0 first differ, the same text on all ranks; empty where that
// is only in what each rank has of its own.
Result<std::string> findDifference(const plan::Plan& plan, uint32_t rank, Communicator& world) {
  const std::vector<std::string> items = plan::commonItems(*plan);
  DCC_ASSIGN(const std::vector<std::string> digests, exchangeTexts(digestsOf(items), world));
  const std::string &own = digests[rank], &first = digests[0];
  const size_t common = std::min(own.size(), first.size());
  const size_t same =
      std::mismatch(own.begin(), own.begin() + common, first.begin()).first - own.begin();
  if (same == own.size() && same == first.size()) return std::string();
  const size_t item = same / sizeof(Hash);
  DCC_ASSIGN(const std::vector<std::string> texts,
             exchangeTexts(item < items.size() ? items[item] : "", world));
  return plan::differenceText(texts[rank], "rank 0", texts[0]);
}

Status endBy(uint32_t rank, const std::string& what, Communicator& world) {
  return sayOnce(rank, userError("rank " + std::to_string(rank) + ": " + what), world);
}

}  // namespace

Status sayOnce(uint32_t rank, const Error& error, Communicator& world) {
  if (world.rank() != rank) DCC_RETURN_IF_ERROR(world.barrier());
  return error;
}

Status checkAgreement(const plan::Plan& plan, Communicator& world) {
  DCC_ASSIGN(const std::vector<Card> cards, exchangeCards(plan, world));
  for (uint32_t r = 0; r < world.size(); ++r) {
    if (cards[r].rank == r && cards[r].world_size == world.size()) continue;
    return endBy(r,
                 "runs the plan of rank " + std::to_string(cards[r].rank) + " of " +
                     std::to_string(cards[r].world_size) + "; its own of " +
                     std::to_string(world.size()) + " is right",
                 world);
  }
  const auto other = std::ranges::find_if(
      cards, [&](const Card& card) { return card.compilation != cards[0].compilation; });
  if (other == cards.end()) return Status::success();
  // All see the same cards, so all take part in what follows.
  DCC_ASSIGN(const std::string difference, findDifference(plan, other->rank, world));
  return endBy(other->rank,
               "runs a plan of another compilation than rank 0 (" + other->compilation.hex() +
                   ", " + cards[0].compilation.hex() + ")" +
                   (difference.empty() ? "" : ": " + difference) +
                   "; all plans must come from one `dcc compile`",
               world);
}

}  // namespace dcc::drun
