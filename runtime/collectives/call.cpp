#include "runtime/collectives/call.h"

#include <string_view>

#include "runtime/collectives/whereabouts.h"

namespace dcc {
namespace {

std::string_view callName(Call call) {
  switch (call) {
    case Call::kBarrier:
      return "barrier";
    case Call::kAllReduce:
      return "all-reduce";
    case Call::kAllGather:
      return "all-gather";
    case Call::kReduceScatter:
      return "reduce-scatter";
    case Call::kBroadcast:
      return "broadcast";
    case Call::kAllToAll:
      return "all-to-all";
    case Call::kLeave:
      return "end";
  }
  return "an unknown call";
}

}  // namespace

std::string describe(const CallTag& tag) {
  std::string text(callName(static_cast<Call>(tag.op)));
  if (tag.bytes != 0) text += " of " + std::to_string(tag.bytes) + " bytes";
  if (static_cast<Call>(tag.op) == Call::kBroadcast)
    text += " from rank " + std::to_string(tag.root);
  return text;
}

std::string secondsText(std::chrono::milliseconds time) {
  std::string text = std::to_string(std::chrono::duration<double>(time).count());
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

Error silenceError(std::span<const uint32_t> missing, std::chrono::milliseconds deadline) {
  return runtimeError("no sign of " + std::string(missing.size() == 1 ? "rank " : "ranks ") +
                      ranksText(missing) + " for " + secondsText(deadline) +
                      " s; a longer --timeout waits longer");
}

Error overdueError(const CallTag& tag, std::span<const uint32_t> missing,
                   std::chrono::milliseconds deadline) {
  return runtimeError(describe(tag) + ": " + silenceError(missing, deadline).message);
}

Error divergenceError(uint32_t rank, const CallTag& tag, uint32_t other, const CallTag& other_tag) {
  CallTag same = other_tag;
  same.stamp = tag.stamp;
  if (same == tag) {
    return runtimeError("rank " + std::to_string(rank) + " and rank " + std::to_string(other) +
                        " have come to " + describe(tag) +
                        " with different steps or tokens; one build, one plan and memory without "
                        "faults are right");
  }
  return runtimeError("rank " + std::to_string(rank) + " is in " + describe(tag) + ", rank " +
                      std::to_string(other) + " in " + describe(other_tag) +
                      "; all ranks must run plans of one compilation");
}

}  // namespace dcc
