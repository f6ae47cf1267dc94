// One call of a collective, as ranks know it of each other: compared among them, and named in
// messages. What all transports say about waiting and diverging.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "runtime/base/status.h"

namespace dcc {

enum class Call : uint16_t {
  kBarrier = 1,
  kAllReduce = 2,
  kAllGather = 3,
  kReduceScatter = 4,
  kBroadcast = 5,
  kAllToAll = 6,
  kLeave = 7,  // none comes after it
};

// What a rank is about to exchange; compared by its peers, so that ranks whose programs diverge get
// an error instead of each other's bytes.
struct CallTag {
  uint16_t op = 0;  // a Call
  uint16_t root = 0;
  uint32_t stamp = 0;  // Communicator::stamp()
  uint64_t bytes = 0;  // of the whole call, the same on all ranks
  bool operator==(const CallTag&) const = default;
};
static_assert(sizeof(CallTag) == 16);

struct WaitOptions {
  // Longest time without a sign of life of the ranks waited for (arrivals or beats). Time in which
  // this process itself was stopped does not count.
  std::chrono::milliseconds deadline{30'000};
  // More busy threads than cores on this machine.
  bool crowded = false;
};

// "all-reduce of 4096 bytes"
std::string describe(const CallTag& tag);

// "1.5" of 1500 ms.
std::string secondsText(std::chrono::milliseconds time);

// `missing` ranks gave no sign of life for `deadline`.
Error silenceError(std::span<const uint32_t> missing, std::chrono::milliseconds deadline);
// `missing` ranks gave no sign of life for `deadline` while this one was in `tag`.
Error overdueError(const CallTag& tag, std::span<const uint32_t> missing,
                   std::chrono::milliseconds deadline);

// Two ranks are in different calls.
Error divergenceError(uint32_t rank, const CallTag& tag, uint32_t other, const CallTag& other_tag);

}  // namespace dcc
