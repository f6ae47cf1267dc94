// Prompts dealt to the replicas of a model: request i is replica i's, modulo their number. Each
// replica writes its own; rank 0 hears of all, in order, when all are written.
#pragma once

#include <string>
#include <vector>

#include "runtime/generate/step_loop.h"
#include "runtime/text/tokenizer.h"
#include "tools/drun/replica.h"

namespace dcc::drun {

class Dealer {
 public:
  // One per rank of the world. `loop` is the rank's replica's; `stop`: texts that end a
  // continuation, for which leaders read the tokenizer in `dir`. All outlive the object.
  Dealer(const generate::Limits& limits, const Replica& replica, Communicator& world,
         generate::StepLoop& loop, const std::string& dir, const std::vector<std::string>& stop)
      : limits_(limits), replica_(replica), world_(world), loop_(loop), dir_(dir), stop_(stop) {}

  // Rank 0: the listener is told of requests by their place in the list, from `first` on, which
  // also makes their draws.
  Status lead(const std::vector<generate::Request>& requests, uint32_t first,
              generate::Listener& listener);
  // Rank 0: the others' follow() returns.
  Status dismiss();
  // Other ranks.
  Status follow();

 private:
  class Collector;
  // Every rank: writes what is its replica's of `requests_`.
  Status write();

  const generate::Limits& limits_;
  const Replica& replica_;
  Communicator& world_;
  generate::StepLoop& loop_;
  const std::string& dir_;
  const std::vector<std::string>& stop_;
  std::optional<text::Tokenizer> tokenizer_;
  std::string requests_;  // packed
};

}  // namespace dcc::drun
