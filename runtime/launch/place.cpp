#include "runtime/launch/place.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "runtime/base/printable.h"
#include "runtime/collectives/region.h"

namespace dcc::launch {

Result<uint32_t> numberVariable(const char* name, uint32_t largest) {
  const char* text = std::getenv(name);
  uint32_t value = 0;
  if (text != nullptr) {
    const char* end = text + std::strlen(text);
    const auto [rest, error] = std::from_chars(text, end, value);
    if (error == std::errc() && rest == end && rest != text && value <= largest) return value;
  }
  return userError(std::string(name) + (text == nullptr ? " is not set" : "=" + printable(text)) +
                   ": a number from 0 to " + std::to_string(largest) + " is right");
}

Result<std::optional<Place>> Place::fromEnvironment() {
  if (std::getenv(kRankVariable) == nullptr || std::getenv(kWorldSizeVariable) == nullptr) {
    return std::optional<Place>();
  }
  for (const char* name : {kLocalRankVariable, kMasterAddressVariable, kMasterPortVariable}) {
    if (std::getenv(name) != nullptr) continue;
    return userError(std::string(name) +
                     ": not set, while RANK and WORLD_SIZE are; a launcher of " +
                     "ranks sets it too, and without RANK drun starts its own");
  }
  Place place;
  DCC_ASSIGN(place.world_size, numberVariable(kWorldSizeVariable, Region::kMaxRanks));
  if (place.world_size == 0) return userError("WORLD_SIZE=0: 1 rank at least is right");
  DCC_ASSIGN(place.rank, numberVariable(kRankVariable, place.world_size - 1));
  DCC_ASSIGN(place.local_rank, numberVariable(kLocalRankVariable, place.world_size - 1));
  DCC_ASSIGN(const uint32_t port, numberVariable(kMasterPortVariable, 65534));
  place.master_port = static_cast<uint16_t>(port);
  place.master_address = std::getenv(kMasterAddressVariable);
  return std::optional<Place>(place);
}

}  // namespace dcc::launch
