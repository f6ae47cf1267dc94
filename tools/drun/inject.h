// DRUN_INJECT: a fault on purpose, for tests of what becomes of the ranks then.
//
//   rank=2,at=decode:7,do=kill               SIGKILL in the middle of its step 7 of "decode"
//   rank=1,at=decode,collective=3,do=flip    one bit of its result of that step's collective 3
//
//   at  start, load, shutdown, or an entry (prefill, decode, logits, encode), of which :N counts
//       the steps from 0
//   do  kill, stop, term (signals), exit (status 3), abort, kill-launcher, term-launcher, flip
//   collective, bit   of an entry; from 0, which they are where they are left out
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/backends/backend.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.h"

namespace dcc::drun {

inline constexpr char kInjectVariable[] = "DRUN_INJECT";

struct Injection {
  enum class Act { kKill, kStop, kTerm, kExit, kAbort, kKillLauncher, kTermLauncher, kFlip };

  uint32_t rank = 0;
  std::string at;
  uint32_t step = 0;
  uint32_t collective = 0;
  uint64_t bit = 0;  // of the result's, modulo as many as there are
  Act act = Act::kKill;

  bool inStep() const { return at != "start" && at != "load" && at != "shutdown"; }
};

// Error (user) names the variable and what of it is wrong.
Result<Injection> parseInjection(std::string_view text);
// Nothing where the variable is not set.
Result<std::optional<Injection>> injectionFromEnvironment();

class Injector final : public Observer {
 public:
  // On other ranks than it is for it only watches: devices' collectives are others while results
  // are looked at, on all ranks.
  Injector(const std::optional<Injection>& injection, uint32_t rank);

  // The rank has come to "start", "load" or "shutdown".
  void reached(std::string_view place) const;

  // What is to watch the executor of `plan`, which outlives the object; null where no rank's step
  // is to go wrong. Errors (user): the plan has no such entry, or no such collective in it.
  Result<Observer*> watch(const plan::fb::Plan& plan);
  Asks asks(uint32_t entry, uint32_t instruction) const override;
  Status ran(const Ran& ran) override;

 private:
  std::optional<Injection> injection_;
  bool own_ = false;  // it is for this rank
  const plan::fb::Plan* plan_ = nullptr;
  uint32_t entry_ = 0, instruction_ = 0;
  uint32_t steps_ = 0;  // of the entry, so far
};

}  // namespace dcc::drun
