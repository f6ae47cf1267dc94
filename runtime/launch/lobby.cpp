#include "runtime/launch/lobby.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "runtime/base/file.h"

namespace dcc::launch {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{5};
// More at once than a group has ranks, so that strangers cannot keep ranks out.
constexpr size_t kMaxVisitors = 2048;

}  // namespace

Result<std::optional<Guest>> Lobby::next(TimePoint deadline) {
  for (;;) {
    const auto now = steady_clock::now();
    for (size_t i = 0; i < visitors_.size();) {
      Visitor& visitor = visitors_[i];
      const bool stays = listenTo(visitor);
      if (visitor.said == bytes_) {
        Guest guest = std::move(visitor.guest);
        visitors_.erase(visitors_.begin() + static_cast<ptrdiff_t>(i));
        return std::optional(std::move(guest));
      }
      if (stays && now < visitor.leaves) {
        ++i;
      } else {
        visitors_.erase(visitors_.begin() + static_cast<ptrdiff_t>(i));
      }
    }
    if (now >= deadline) return std::optional<Guest>();

    std::vector<pollfd> polled = {{listener_, POLLIN, 0}};
    TimePoint until = deadline;
    for (const Visitor& visitor : visitors_) {
      polled.push_back({visitor.guest.fd.get(), POLLIN, 0});
      until = std::min(until, visitor.leaves);
    }
    ::poll(polled.data(), polled.size(), remaining(until));
    if (polled[0].revents != 0) DCC_RETURN_IF_ERROR(admit());
  }
}

Status Lobby::admit() {
  for (;;) {
    UniqueFd fd(::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EMFILE && errno != ENFILE) return Status::success();
      if (visitors_.empty()) {
        return runtimeError("start: a rank that connects cannot be let in: " + errnoText(errno) +
                            "; more are right (ulimit -Hn)");
      }
      // Who has been here longest without a word gives a descriptor back.
      visitors_.erase(visitors_.begin());
      return Status::success();
    }
    sendAtOnce(fd.get());
    if (visitors_.size() == kMaxVisitors) visitors_.erase(visitors_.begin());
    Visitor visitor{
        {std::move(fd), std::vector<std::byte>(bytes_)}, 0, steady_clock::now() + kPatience};
    visitors_.push_back(std::move(visitor));
  }
}

bool Lobby::listenTo(Visitor& visitor) const {
  const ssize_t n = ::recv(visitor.guest.fd.get(), visitor.guest.greeting.data() + visitor.said,
                           bytes_ - visitor.said, MSG_DONTWAIT);
  if (n > 0) visitor.said += static_cast<size_t>(n);
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

}  // namespace dcc::launch
