// A listening socket open to anybody: port scans, strangers that say nothing, and those we wait
// for. Each visitor has a few seconds to say a greeting of a fixed length; only then is it looked
// at.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "runtime/launch/net.h"

namespace dcc::launch {

struct Guest {
  UniqueFd fd;
  std::vector<std::byte> greeting;
};

class Lobby {
 public:
  // The listener outlives the lobby.
  Lobby(int listener, size_t greeting_bytes) : listener_(listener), bytes_(greeting_bytes) {}

  // The next visitor that has said its greeting; nothing at the deadline. Error (runtime): nobody
  // can be let in, for this process has as many descriptors as it may.
  Result<std::optional<Guest>> next(TimePoint deadline);

 private:
  struct Visitor {
    Guest guest;
    size_t said = 0;
    TimePoint leaves;
  };
  Status admit();
  // Whether the visitor stays.
  bool listenTo(Visitor& visitor) const;

  int listener_;
  size_t bytes_;
  std::vector<Visitor> visitors_;  // in order of arrival
};

}  // namespace dcc::launch
