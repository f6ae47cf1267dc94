#include "runtime/launch/local_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "runtime/base/file.h"

namespace dcc::launch {
namespace {

struct LocalAddress {
  explicit LocalAddress(const std::string& name)
      : size(static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) {
    path.sun_family = AF_UNIX;
    name.copy(path.sun_path + 1, kLongestLocalName);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&path); }

  sockaddr_un path{};
  socklen_t size;
};
static_assert(kLongestLocalName + 1 == sizeof(sockaddr_un::sun_path));

UniqueFd newSocket() {
  return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// Of a listener, seen from a guest: who made it listen.
std::optional<ucred> ownerOf(int socket) {
  ucred who{};
  socklen_t size = sizeof(who);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return std::nullopt;
  return who;
}

Error isAnothers(const std::string& name, const ucred& owner) {
  return userError("socket @" + name + ": process " + std::to_string(owner.pid) + " of user " +
                   std::to_string(owner.uid) +
                   " has it, which is not ours; --store-port names a TCP port to meet at instead");
}

Error isTaken(const std::string& name) {
  const LocalAddress address(name);
  const UniqueFd fd = newSocket();
  if (fd && ::connect(fd.get(), address.get(), address.size) == 0) {
    if (const std::optional<ucred> owner = ownerOf(fd.get())) {
      if (owner->uid != ::geteuid()) return isAnothers(name, *owner);
      return userError("rank 0: there is one already, process " + std::to_string(owner->pid) +
                       "; one of each job is right");
    }
  }
  return userError("socket @" + name + ": is taken; --store-port names a TCP port to meet at");
}

// A message of one byte that carries a descriptor.
struct Parcel {
  Parcel() {
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
  }
  Parcel(const Parcel&) = delete;

  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
};

}  // namespace

Result<UniqueFd> listenLocally(const std::string& name) {
  const LocalAddress address(name);
  UniqueFd fd = newSocket();
  const bool bound = fd && ::bind(fd.get(), address.get(), address.size) == 0;
  if (!bound && errno == EADDRINUSE) return isTaken(name);
  if (!bound || ::listen(fd.get(), 1024) != 0) {
    return runtimeError("socket @" + name + ": cannot be listened on: " + errnoText(errno));
  }
  return fd;
}

Result<UniqueFd> connectLocally(const std::string& name, TimePoint deadline) {
  const LocalAddress address(name);
  DCC_ASSIGN(UniqueFd fd, connectAgain("socket @" + name, deadline, [&](std::string& why) {
               UniqueFd attempt = newSocket();
               const bool met =
                   attempt && ::connect(attempt.get(), address.get(), address.size) == 0;
               if (met) return attempt;
               why = errnoText(errno);
               return UniqueFd();
             }));
  const std::optional<ucred> owner = ownerOf(fd.get());
  if (!owner) return runtimeError("socket @" + name + ": " + errnoText(errno));
  if (owner->uid != ::geteuid()) return isAnothers(name, *owner);
  return fd;
}

bool isOfOurUser(int socket) {
  const std::optional<ucred> owner = ownerOf(socket);
  return owner && owner->uid == ::geteuid();
}

std::optional<pid_t> peerProcess(int socket) {
  const std::optional<ucred> owner = ownerOf(socket);
  if (!owner || owner->pid <= 0) return std::nullopt;
  return owner->pid;
}

Status sendDescriptor(int socket, int fd, TimePoint deadline) {
  Parcel parcel;
  cmsghdr* head = CMSG_FIRSTHDR(&parcel.message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(head), &fd, sizeof(int));
  if (!waitFor(socket, POLLOUT, deadline)) return runtimeError("no answer in time");
  if (::sendmsg(socket, &parcel.message, MSG_NOSIGNAL) == 1) return Status::success();
  return runtimeError(errnoText(errno));
}

Result<UniqueFd> receiveDescriptor(int socket, TimePoint deadline) {
  Parcel parcel;
  if (!waitFor(socket, POLLIN, deadline)) return runtimeError("no answer in time");
  const ssize_t n = ::recvmsg(socket, &parcel.message, MSG_CMSG_CLOEXEC);
  const cmsghdr* head = n == 1 ? CMSG_FIRSTHDR(&parcel.message) : nullptr;
  if (head == nullptr || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int))) {
    return runtimeError("the connection ended");
  }
  int fd;
  std::memcpy(&fd, CMSG_DATA(head), sizeof(int));
  return UniqueFd(fd);
}

}  // namespace dcc::launch
