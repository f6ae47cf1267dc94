#include "runtime/collectives/whereabouts.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace dcc {

std::string whereText(const Where& where, const DescribeInstruction& describe) {
  const auto number = [](uint32_t n) { return std::to_string(n); };
  switch (where.place) {
    case kStarting:
      return "starting";
    case kLoading:
      return "loading weights";
    case kBetweenSteps:
      return where.step == 0 ? "before the first step" : "after step " + number(where.step - 1);
    case kEnding:
      return "ending";
    case kElsewhere:
      return "at work";
    default:
      break;
  }
  const uint32_t entry = where.place - kInEntry;
  const std::string step = "in step " + number(where.step) + ", ";
  if (describe) return step + describe(entry, where.instruction);
  const bool known = where.instruction != kSomeInstruction;
  return step + "entry " + number(entry) +
         (known ? ", instruction " + number(where.instruction) : "");
}

std::string ranksText(std::span<const uint32_t> ranks) {
  std::string text;
  for (size_t first = 0, last = 0; first < ranks.size(); first = last + 1) {
    for (last = first; last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1; ++last) {
    }
    if (last < first + 3) last = first;  // up to three are named each
    text += (text.empty() ? "" : ", ") + std::to_string(ranks[first]);
    if (last > first) text += "-" + std::to_string(ranks[last]);
  }
  return text;
}

std::string sightingsText(std::span<const Sighting> ranks, const DescribeInstruction& describe) {
  std::vector<std::pair<Sighting, std::vector<uint32_t>>> groups;
  for (uint32_t r = 0; r < ranks.size(); ++r) {
    const auto same = std::ranges::find_if(groups, [&](const auto& group) {
      return group.first.where == ranks[r].where && group.first.missed == ranks[r].missed;
    });
    if (same != groups.end()) {
      same->second.push_back(r);
    } else {
      groups.push_back({ranks[r], {r}});
    }
  }
  std::string text;
  for (const auto& [sighting, members] : groups) {
    text += (members.size() == 1 ? "rank " : "ranks ") + ranksText(members) + ": " +
            whereText(sighting.where, describe) + ", collective " +
            std::to_string(sighting.where.calls) + (sighting.missed ? "  <- missing" : "") + "\n";
  }
  return text;
}

}  // namespace dcc
