// One clock for ranks whose own ones begin anywhere: on several machines.
#pragma once

#include <cstdint>
#include <functional>

#include "runtime/base/status.h"
#include "runtime/collectives/communicator.h"

namespace dcc {

// Nanoseconds.
struct ClockReading {
  int64_t at = 0;     // of this rank's clock, when it was compared
  int64_t ahead = 0;  // this rank's clock is before rank 0's by so much,
  int64_t error = 0;  // more or less
};

// Collective: each rank in turn answers rank 0 a few times with what its clock says. The answer was
// given some time between question and reply, so of all rounds the fastest is believed, and the
// clock taken to have been read in its middle; the error is half of its time. On rank 0 all is
// exact. Errors: the group's.
Result<ClockReading> compareClocks(Communicator& world, const std::function<int64_t()>& now);

// From a rank's clock to rank 0's, by a reading before and one after: what lies between is taken to
// drift evenly.
class ClockMap {
 public:
  ClockMap() = default;  // the clock is rank 0's
  ClockMap(const ClockReading& before, const ClockReading& after)
      : before_(before), after_(after) {}

  int64_t toRankZero(int64_t at) const;
  int64_t error() const;  // nanoseconds

 private:
  ClockReading before_, after_;
};

}  // namespace dcc
