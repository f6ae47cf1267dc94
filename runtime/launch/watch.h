// Ranks that share memory but no launcher of ours notice by their connections to rank 0 that one
// has died: rank 0 watches all, the others watch rank 0. Whoever notices aborts the group.
#pragma once

#include <thread>
#include <vector>

#include "runtime/base/unique_fd.h"
#include "runtime/collectives/region.h"

namespace dcc::launch {

class Watch {
 public:
  // `connections`: by rank, none where there is none. They and the region outlive the watch.
  Watch(const std::vector<UniqueFd>& connections, const Region& region);
  ~Watch();
  Watch(const Watch&) = delete;

 private:
  void run(const std::vector<UniqueFd>& connections);

  Region region_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace dcc::launch
