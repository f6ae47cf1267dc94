#include "runtime/launch/watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>

namespace dcc::launch {

Watch::Watch(const std::vector<UniqueFd>& connections, const Region& region)
    : region_(region), stop_(::eventfd(0, EFD_CLOEXEC)) {
  thread_ = std::thread([this, &connections] { run(connections); });
}

Watch::~Watch() {
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

void Watch::run(const std::vector<UniqueFd>& connections) {
  std::vector<pollfd> polled = {{stop_.get(), POLLIN, 0}};
  std::vector<uint32_t> ranks = {0};  // of polled[i]
  for (uint32_t r = 0; r < connections.size(); ++r) {
    if (!connections[r]) continue;
    polled.push_back({connections[r].get(), POLLIN, 0});
    ranks.push_back(r);
  }
  for (;;) {
    ::poll(polled.data(), polled.size(), -1);
    if (polled[0].revents != 0) return;
    for (size_t i = 1; i < polled.size(); ++i) {
      if (polled[i].revents == 0) continue;
      polled[i].fd = -1;  // nothing is ever said on it: this is its end
      if (region_.finished(ranks[i])) continue;
      region_.abort(
          {static_cast<int32_t>(ranks[i]), runtimeError("its connection ended: it died"), true});
    }
  }
}

}  // namespace dcc::launch
