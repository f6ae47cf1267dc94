#include "runtime/launch/net.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <memory>
#include <thread>

#include "runtime/base/file.h"

namespace dcc::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kRetryEvery{50};
// Of several addresses the first may be a dead end, and a full queue answers a new attempt sooner
// than the kernel repeats an old one.
constexpr milliseconds kOneAttempt{1000};
constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool isMapped(const Address& address) {
  return std::equal(std::begin(kMapped), std::end(kMapped), address.ip.begin());
}

// As the kernel wants it, in the family that the address is of.
socklen_t toSocket(const Address& address, sockaddr_storage& out) {
  std::memset(&out, 0, sizeof(out));
  if (isMapped(address)) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    std::memcpy(&v4.sin_addr, address.ip.data() + 12, 4);
    return sizeof(v4);
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  std::memcpy(&v6.sin6_addr, address.ip.data(), 16);
  return sizeof(v6);
}

Address fromSocket(const sockaddr_storage& in) {
  Address address;
  if (in.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(in);
    std::copy(std::begin(kMapped), std::end(kMapped), address.ip.begin());
    std::memcpy(address.ip.data() + 12, &v4.sin_addr, 4);
    address.port = ntohs(v4.sin_port);
  } else if (in.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(in);
    std::memcpy(address.ip.data(), &v6.sin6_addr, 16);
    address.port = ntohs(v6.sin6_port);
  }
  return address;
}

UniqueFd newSocket(int family) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd) sendAtOnce(fd.get());
  return fd;
}

// One attempt; on failure no descriptor and errno.
UniqueFd connectOnce(const sockaddr* address, socklen_t size, TimePoint deadline) {
  UniqueFd fd = newSocket(address->sa_family);
  if (!fd) return fd;
  if (::connect(fd.get(), address, size) == 0) return fd;
  if (errno != EINPROGRESS) return UniqueFd();
  const TimePoint limit = std::min(deadline, steady_clock::now() + kOneAttempt);
  int error = ETIMEDOUT;
  socklen_t bytes = sizeof(error);
  if (waitFor(fd.get(), POLLOUT, limit)) {
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &bytes);
  }
  if (error == 0) return fd;
  errno = error;
  return UniqueFd();
}

// The addresses of a name; none, and the reason in `why`, where it is not known (as those of pods
// that are about to start) or at the deadline: name servers that don't answer are waited for as
// long as the resolver likes, so that is done by a thread that may be left behind.
std::shared_ptr<addrinfo> lookUp(const std::string& host, uint16_t port, TimePoint deadline,
                                 std::string& why) {
  struct Answer {
    int failed;
    addrinfo* found;
  };
  auto promise = std::make_shared<std::promise<Answer>>();
  std::future<Answer> coming = promise->get_future();
  std::thread([promise, host, port] {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    // Nothing, which is this host, for the name that always means it (RFC 6761, 6.3): not every
    // container can look it up.
    const char* name = host == "localhost" ? nullptr : host.c_str();
    const int failed = ::getaddrinfo(name, std::to_string(port).c_str(), &hints, &found);
    promise->set_value({failed, found});
  }).detach();
  if (coming.wait_until(deadline) != std::future_status::ready) {
    why = "nothing says which address that is";
    return nullptr;
  }
  const Answer answer = coming.get();
  if (answer.failed == 0) return {answer.found, ::freeaddrinfo};
  why = ::gai_strerror(answer.failed);
  return nullptr;
}

}  // namespace

bool Address::isLoopback() const {
  if (isMapped(*this)) return ip[12] == 127;
  return std::all_of(ip.begin(), ip.end() - 1, [](uint8_t b) { return b == 0; }) && ip[15] == 1;
}

std::string Address::text() const {
  char text[INET6_ADDRSTRLEN] = "";
  const bool v4 = isMapped(*this);
  ::inet_ntop(v4 ? AF_INET : AF_INET6, ip.data() + (v4 ? 12 : 0), text, sizeof(text));
  return (v4 ? std::string(text) : "[" + std::string(text) + "]") + ":" + std::to_string(port);
}

Result<UniqueFd> listenOn(uint16_t port, bool loopback_only) {
  // IPv6 sockets take IPv4 too; a kernel may be without IPv6.
  UniqueFd fd = newSocket(loopback_only ? AF_INET : AF_INET6);
  const bool v4 = loopback_only || !fd;
  if (!fd) fd = newSocket(AF_INET);
  const int one = 1, zero = 0;
  if (!v4) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  Address own;
  if (loopback_only) {
    own = kLoopback;
  } else if (v4) {
    std::copy(std::begin(kMapped), std::end(kMapped), own.ip.begin());
  }
  own.port = port;
  sockaddr_storage address;
  const socklen_t size = toSocket(own, address);
  if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(fd.get(), 1024) != 0) {
    return userError("port " + std::to_string(port) + ": cannot be listened on: " +
                     errnoText(errno) + "; --store-port names another");
  }
  return fd;
}

Result<UniqueFd> connectAgain(const std::string& where, TimePoint deadline,
                              const std::function<UniqueFd(std::string& why)>& attempt) {
  for (std::string why;;) {
    if (UniqueFd fd = attempt(why)) return fd;
    if (steady_clock::now() + kRetryEvery >= deadline) {
      return runtimeError(where + ": cannot be reached: " + why);
    }
    const timespec nap{0, 1'000'000 * kRetryEvery.count()};
    ::nanosleep(&nap, nullptr);
  }
}

Result<UniqueFd> connectTo(const std::string& host, uint16_t port, TimePoint deadline) {
  const std::string where = host + ":" + std::to_string(port);
  return connectAgain(where, deadline, [&](std::string& why) {
    const std::shared_ptr<addrinfo> all = lookUp(host, port, deadline, why);
    for (const addrinfo* found = all.get(); found != nullptr; found = found->ai_next) {
      UniqueFd fd = connectOnce(found->ai_addr, found->ai_addrlen, deadline);
      if (fd) return fd;
      why = errnoText(errno);
    }
    return UniqueFd();
  });
}

Result<UniqueFd> connectTo(const Address& address, TimePoint deadline) {
  sockaddr_storage storage;
  const socklen_t size = toSocket(address, storage);
  return connectAgain(address.text(), deadline, [&](std::string& why) {
    UniqueFd fd = connectOnce(reinterpret_cast<sockaddr*>(&storage), size, deadline);
    if (!fd) why = errnoText(errno);
    return fd;
  });
}

void sendAtOnce(int fd) {
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

Address peerAddress(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  ::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  return fromSocket(storage);
}

Address ownAddress(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  return fromSocket(storage);
}

int remaining(TimePoint deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, INT32_MAX));
}

bool waitFor(int fd, short events, TimePoint deadline) {
  for (;;) {
    pollfd polled{fd, events, 0};
    const int ready = ::poll(&polled, 1, remaining(deadline));
    if (ready > 0) return true;
    if (ready == 0 && steady_clock::now() >= deadline) return false;
    if (ready < 0 && errno != EINTR) return false;
  }
}

Status sendAll(int fd, std::span<const std::byte> bytes, TimePoint deadline) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      bytes = bytes.subspan(static_cast<size_t>(n));
    } else if (errno != EAGAIN && errno != EINTR) {
      return runtimeError("the connection ended: " + errnoText(errno));
    } else if (!waitFor(fd, POLLOUT, deadline)) {
      return runtimeError("no answer in time");
    }
  }
  return Status::success();
}

Status receiveAll(int fd, std::span<std::byte> bytes, TimePoint deadline) {
  while (!bytes.empty()) {
    const ssize_t n = ::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (n > 0) {
      bytes = bytes.subspan(static_cast<size_t>(n));
    } else if (n == 0) {
      return runtimeError("the connection ended");
    } else if (errno != EAGAIN && errno != EINTR) {
      return runtimeError("the connection ended: " + errnoText(errno));
    } else if (!waitFor(fd, POLLIN, deadline)) {
      return runtimeError("no answer in time");
    }
  }
  return Status::success();
}

}  // namespace dcc::launch
