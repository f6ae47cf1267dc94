// Stream sockets with deadlines, for what ranks say to each other before they are a group. All are
// non-blocking and not inherited by children.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "runtime/base/status.h"
#include "runtime/base/unique_fd.h"

namespace dcc::launch {

using TimePoint = std::chrono::steady_clock::time_point;

// An IP address and port; IPv4 as ::ffff:a.b.c.d.
struct Address {
  std::array<uint8_t, 16> ip{};
  uint16_t port = 0;

  bool isLoopback() const;
  std::string text() const;  // "10.0.0.1:29501"
};

// 127.0.0.1, without a port.
inline constexpr Address kLoopback{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}, 0};

// Listens on a port of all interfaces, or of this host only; port 0: any. Errors (user): taken, not
// allowed.
Result<UniqueFd> listenOn(uint16_t port, bool loopback_only = false);

// Connects to a name or address, again and again until somebody listens there. Error (runtime):
// none did until the deadline.
Result<UniqueFd> connectTo(const std::string& host, uint16_t port, TimePoint deadline);
Result<UniqueFd> connectTo(const Address& address, TimePoint deadline);

// Calls `attempt`, which gives a descriptor or none and the reason, again and again. Error
// (runtime): "`where`: cannot be reached: " and the last reason, at the deadline.
Result<UniqueFd> connectAgain(const std::string& where, TimePoint deadline,
                              const std::function<UniqueFd(std::string& why)>& attempt);

// What is written to a TCP socket leaves at once, without waiting for more.
void sendAtOnce(int fd);

// Whose socket is at the other end, and our own.
Address peerAddress(int fd);
Address ownAddress(int fd);

// Errors (runtime), without a name in front: the deadline, the connection ended.
Status sendAll(int fd, std::span<const std::byte> bytes, TimePoint deadline);
Status receiveAll(int fd, std::span<std::byte> bytes, TimePoint deadline);

// Waits until `fd` can be read or written (poll's events); false at the deadline.
bool waitFor(int fd, short events, TimePoint deadline);
// Milliseconds until then, as poll() wants them.
int remaining(TimePoint deadline);

template <class T>
std::span<const std::byte> bytesOf(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}
template <class T>
std::span<std::byte> writableBytesOf(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

}  // namespace dcc::launch
