#include "runtime/launch/rendezvous.h"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "runtime/base/file.h"
#include "runtime/collectives/call.h"
#include "runtime/launch/greeting.h"
#include "runtime/launch/lobby.h"

namespace dcc::launch {

namespace {

using std::chrono::steady_clock;

// A refusal or the table may come a little after the deadline it speaks of.
constexpr std::chrono::seconds kAnswerTime{5};

Hash randomHash() {
  Hash hash;
  while (::getrandom(&hash, sizeof(hash), 0) != sizeof(hash)) {
  }
  return hash;
}

bool isGone(int fd) {
  char byte;
  const ssize_t n = ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

// An abstract unix socket of this name.
socklen_t roomAddress(const std::string& name, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, sizeof(address.sun_path) - 1);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
}

Status sendDescriptor(int socket, int fd) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(head), &fd, sizeof(int));
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) == 1) return Status::success();
  return runtimeError("shared memory: cannot be handed on: " + errnoText(errno));
}

Result<UniqueFd> receiveDescriptor(int socket) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  const cmsghdr* head = n == 1 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (head == nullptr || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int))) {
    return runtimeError("shared memory: rank 0 did not hand it on");
  }
  int fd;
  std::memcpy(&fd, CMSG_DATA(head), sizeof(int));
  return UniqueFd(fd);
}

}  // namespace

Hash hostIdentity() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot;
  struct stat network;
  if (!std::getline(file, boot) || ::stat("/proc/self/ns/net", &network) != 0) return randomHash();
  Hasher hasher;
  hasher.add(std::string_view(boot));
  hasher.add(uint64_t{network.st_dev});
  hasher.add(uint64_t{network.st_ino});
  hasher.add(uint64_t{::geteuid()});
  return hasher.finish();
}

Result<Rendezvous> Rendezvous::meet(const Contact& contact, UniqueFd listener) {
  if (contact.secret.size() > sizeof(Hello{}.secret)) {
    return userError("DRUN_SECRET: " + std::to_string(contact.secret.size()) +
                     " bytes; at most 64 are right");
  }
  Rendezvous meeting(contact);
  meeting.deadline_ = steady_clock::now() + contact.deadline;
  meeting.members_.resize(contact.size);
  meeting.connections_.resize(contact.size);
  if (contact.size == 1) {
    meeting.members_[0].use_tcp = contact.use_tcp;
    return meeting;
  }
  DCC_RETURN_IF_ERROR(contact.rank == 0 ? meeting.host(std::move(listener)) : meeting.visit());
  return meeting;
}

// Rank 0's part.
Status Rendezvous::host(UniqueFd listener) {
  if (!listener) {
    DCC_ASSIGN(listener, listenOn(contact_.port));
  }
  const Hello own = makeHello(0, contact_.size, contact_.secret);
  members_[0].host = hostIdentity();
  members_[0].use_tcp = contact_.use_tcp;
  std::string refused;
  Lobby lobby(listener.get(), sizeof(Hello));
  for (uint32_t present = 1; present < contact_.size;) {
    std::optional<Guest> guest = lobby.next(deadline_);
    if (!guest) break;
    Hello hello;
    std::memcpy(&hello, guest->greeting.data(), sizeof(hello));
    if (!isHello(hello)) continue;  // a stranger
    std::string why = refusalOf(hello, own);
    if (why.empty() && connections_[hello.rank] && !isGone(connections_[hello.rank].get())) {
      why = "rank " + std::to_string(hello.rank) + ": there is one already";
    }
    if (!why.empty()) {
      sendRefusal(guest->fd.get(), why, steady_clock::now() + kAnswerTime);
      refused = "; refused: " + why;
      continue;
    }
    Member& member = members_[hello.rank];
    member.host = hello.host;
    member.use_tcp = hello.use_tcp;
    member.address = peerAddress(guest->fd.get());
    member.address.port = static_cast<uint16_t>(hello.port);
    if (!connections_[hello.rank]) ++present;
    connections_[hello.rank] = std::move(guest->fd);
  }
  std::string missing;
  for (uint32_t r = 1; r < contact_.size; ++r) {
    if (!connections_[r]) missing += (missing.empty() ? "" : ", ") + std::to_string(r);
  }
  if (missing.empty()) return welcomeAll();
  const std::string why = "start: no sign of rank " + missing + " for " +
                          secondsText(contact_.deadline) + " s" + refused +
                          "; a longer --timeout waits longer";
  for (const UniqueFd& fd : connections_) {
    if (fd) sendRefusal(fd.get(), why, steady_clock::now() + kAnswerTime);
  }
  return runtimeError(why);
}

Status Rendezvous::welcomeAll() {
  nonce_ = randomHash();
  if (sharesMemory()) {
    room_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address;
    const socklen_t size = roomAddress(roomName(), address);
    if (!room_ || ::bind(room_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(room_.get(), 1024) != 0) {
      return runtimeError("shared memory: no socket to hand it on: " + errnoText(errno));
    }
  }
  std::vector<std::byte> table(sizeof(Hash) + members_.size() * sizeof(Member));
  std::memcpy(table.data(), &nonce_, sizeof(Hash));
  std::memcpy(table.data() + sizeof(Hash), members_.data(), members_.size() * sizeof(Member));
  for (uint32_t r = 1; r < contact_.size; ++r) {
    const Status sent = sendTable(connections_[r].get(), table, steady_clock::now() + kAnswerTime);
    if (!sent.ok()) {
      return runtimeError("rank " + std::to_string(r) + ": left while the others were starting");
    }
  }
  return Status::success();
}

// The other ranks' part.
Status Rendezvous::visit() {
  DCC_ASSIGN(listener_, listenOn(0));
  DCC_ASSIGN(UniqueFd fd, connectTo(contact_.host, contact_.port, deadline_));
  const std::string where = "rank 0 at " + contact_.host + ":" + std::to_string(contact_.port);
  const TimePoint limit = deadline_ + kAnswerTime;
  Hello hello = makeHello(contact_.rank, contact_.size, contact_.secret);
  hello.use_tcp = contact_.use_tcp;
  hello.port = ownAddress(listener_.get()).port;
  hello.host = hostIdentity();
  if (const Status sent = sendAll(fd.get(), bytesOf(hello), limit); !sent.ok()) {
    return runtimeError(where + ": " + sent.error().message);
  }
  std::vector<std::byte> table(sizeof(Hash) + members_.size() * sizeof(Member));
  DCC_RETURN_IF_ERROR(receiveTable(fd.get(), where, table, limit));
  std::memcpy(&nonce_, table.data(), sizeof(Hash));
  std::memcpy(members_.data(), table.data() + sizeof(Hash), members_.size() * sizeof(Member));
  connections_[0] = std::move(fd);
  return Status::success();
}

bool Rendezvous::sharesMemory() const {
  return std::all_of(members_.begin(), members_.end(), [&](const Member& member) {
    return member.host == members_[0].host && member.use_tcp == 0;
  });
}

uint32_t Rendezvous::localSize() const {
  uint32_t size = 0;
  for (uint32_t r = 0; r < contact_.size; ++r) size += isLocal(r);
  return size;
}

std::string Rendezvous::roomName() const { return "drun-" + nonce_.hex(); }

Result<SharedMapping> Rendezvous::share(size_t bytes,
                                        const std::function<Status(std::span<std::byte>)>& format) {
  if (contact_.rank != 0) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address;
    const socklen_t size = roomAddress(roomName(), address);
    if (!socket || ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) {
      return runtimeError("shared memory: rank 0 does not hand it on: " + errnoText(errno));
    }
    if (!waitFor(socket.get(), POLLIN, steady_clock::now() + contact_.deadline)) {
      return runtimeError("shared memory: rank 0 did not hand it on in time");
    }
    DCC_ASSIGN(UniqueFd fd, receiveDescriptor(socket.get()));
    return SharedMapping::open(fd.release());
  }
  DCC_ASSIGN(SharedMapping mapping, SharedMapping::create(bytes));
  DCC_RETURN_IF_ERROR(format(mapping.memory()));
  const TimePoint limit = steady_clock::now() + contact_.deadline;
  for (uint32_t served = 1; served < contact_.size;) {
    if (!waitFor(room_.get(), POLLIN, limit)) {
      return runtimeError("shared memory: not all ranks came for it in time");
    }
    UniqueFd guest(::accept4(room_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ucred who{};
    socklen_t size = sizeof(who);
    if (!guest || ::getsockopt(guest.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 ||
        who.uid != ::geteuid()) {
      continue;  // it is nobody else's
    }
    DCC_RETURN_IF_ERROR(sendDescriptor(guest.get(), mapping.fd()));
    ++served;
  }
  room_.reset();
  return mapping;
}

// Each rank connects to those below it, which listen since before they were in the table.
Result<std::vector<UniqueFd>> Rendezvous::connectAll() {
  const uint32_t own = contact_.rank;
  const TimePoint limit = steady_clock::now() + contact_.deadline;
  PeerHello hello = makePeerHello(nonce_, own);
  for (uint32_t r = 1; r < own; ++r) {
    Address address = members_[r].address;
    // It met rank 0 on their own host: from elsewhere it is where rank 0 is.
    if (address.isLoopback()) address.ip = peerAddress(connections_[0].get()).ip;
    Result<UniqueFd> fd = connectTo(address, limit);
    Status said = fd.ok() ? sendAll(fd->get(), bytesOf(hello), limit) : Status(fd.error());
    if (!said.ok()) return runtimeError("rank " + std::to_string(r) + ": " + said.error().message);
    connections_[r] = std::move(fd).value();
  }
  uint32_t missing = own == 0 ? 0 : contact_.size - 1 - own;
  Lobby lobby(listener_.get(), sizeof(PeerHello));
  while (missing > 0) {
    std::optional<Guest> guest = lobby.next(limit);
    if (!guest) return runtimeError("start: not all ranks could connect to each other in time");
    std::memcpy(&hello, guest->greeting.data(), sizeof(hello));
    const bool ours = isPeerHello(hello, nonce_) && hello.rank > own &&
                      hello.rank < contact_.size && !connections_[hello.rank];
    if (!ours) continue;
    connections_[hello.rank] = std::move(guest->fd);
    --missing;
  }
  listener_.reset();
  return std::move(connections_);
}

}  // namespace dcc::launch
