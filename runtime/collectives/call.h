// The collectives by name, for messages and for comparing what ranks are doing.
#pragma once

#include <cstdint>
#include <string_view>

namespace dcc {

enum class Call : uint32_t {
  kBarrier = 1,
  kAllReduce = 2,
  kAllGather = 3,
  kReduceScatter = 4,
  kBroadcast = 5,
};

constexpr std::string_view callName(Call call) {
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
  }
  return "an unknown call";
}

}  // namespace dcc
