// Where a rank is among the groups that its group is parted into.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/status.h"

namespace dcc {

struct PlaceInGroups {
  size_t group = 0;    // of the list
  uint32_t index = 0;  // in it
};

// Error (runtime): the groups do not have each of `size` ranks once.
inline Result<PlaceInGroups> placeInGroups(std::span<const std::vector<uint32_t>> groups,
                                           uint32_t rank, uint32_t size) {
  std::vector<bool> seen(size);
  uint32_t count = 0;
  PlaceInGroups place;
  for (size_t g = 0; g < groups.size(); ++g) {
    for (uint32_t i = 0; i < groups[g].size(); ++i) {
      const uint32_t r = groups[g][i];
      if (r >= size || seen[r]) return runtimeError("groups: rank " + std::to_string(r) + " again");
      seen[r] = true;
      ++count;
      if (r == rank) place = {g, i};
    }
  }
  if (count == size) return place;
  return runtimeError("groups: of " + std::to_string(count) + " of " + std::to_string(size) +
                      " ranks");
}

}  // namespace dcc
