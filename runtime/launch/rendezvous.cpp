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
#include "runtime/base/printable.h"
#include "runtime/collectives/call.h"
#include "runtime/launch/lobby.h"

namespace dcc::launch {

constexpr char kHelloMagic[8] = {'d', 'r', 'u', 'n', 'm', 'e', 'e', 't'};
constexpr char kPeerMagic[8] = {'d', 'r', 'u', 'n', 'p', 'e', 'e', 'r'};
constexpr uint32_t kProtocol = 1;
constexpr uint32_t kByteOrder = 0x01020304;
constexpr size_t kMaxReason = 2048;
// A refusal or the table may come a little after the deadline it speaks of.
constexpr std::chrono::seconds kAnswerTime{5};

struct Hello {
  char magic[8];
  uint32_t protocol, byte_order;
  uint32_t rank, size;
  uint32_t use_tcp, port;
  Hash host;
  char secret[64];
};
struct Answer {
  char magic[8];
  uint32_t welcome;  // else a refusal
  uint32_t bytes;    // that follow
};
struct PeerHello {
  char magic[8];
  Hash nonce;
  uint32_t rank, reserved;
};

namespace {

using std::chrono::steady_clock;

Hash randomHash() {
  Hash hash;
  while (::getrandom(&hash, sizeof(hash), 0) != sizeof(hash)) {
  }
  return hash;
}

// Takes as long for a wrong secret as for the right one.
bool sameSecret(const char (&a)[64], const char (&b)[64]) {
  unsigned char differ = 0;
  for (size_t i = 0; i < sizeof(a); ++i) differ |= static_cast<unsigned char>(a[i] ^ b[i]);
  return differ == 0;
}

Hello helloOf(const Contact& contact, const Hash& host, uint16_t port) {
  Hello hello{};
  std::memcpy(hello.magic, kHelloMagic, sizeof(kHelloMagic));
  hello.protocol = kProtocol;
  hello.byte_order = kByteOrder;
  hello.rank = contact.rank;
  hello.size = contact.size;
  hello.use_tcp = contact.use_tcp;
  hello.port = port;
  hello.host = host;
  std::memcpy(hello.secret, contact.secret.data(),
              std::min(contact.secret.size(), sizeof(hello.secret)));
  return hello;
}

Status answer(int fd, bool welcome, std::span<const std::byte> body, TimePoint deadline) {
  Answer head{};
  std::memcpy(head.magic, kHelloMagic, sizeof(kHelloMagic));
  head.welcome = welcome;
  head.bytes = static_cast<uint32_t>(body.size());
  DCC_RETURN_IF_ERROR(sendAll(fd, bytesOf(head), deadline));
  return sendAll(fd, body, deadline);
}

void refuse(int fd, const std::string& why, TimePoint deadline) {
  (void)answer(fd, false, std::as_bytes(std::span(why).first(std::min(why.size(), kMaxReason))),
               deadline)
      .ok();
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
  if (contact.secret.size() > sizeof(Hello::secret)) {
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

// Why a visitor is not the rank it says it is; empty: it is welcome.
std::string Rendezvous::refusalOf(const Hello& hello) const {
  const Hello own = helloOf(contact_, {}, 0);
  const std::string who = "rank " + std::to_string(hello.rank);
  if (hello.protocol != kProtocol || hello.byte_order != kByteOrder) {
    return who + " is another version of drun; all ranks must run the same";
  }
  if (!sameSecret(hello.secret, own.secret)) {
    return who + " has another DRUN_SECRET than rank 0; all ranks must have the same";
  }
  if (hello.size != contact_.size) {
    return who + " is one of " + std::to_string(hello.size) + " ranks, rank 0 of " +
           std::to_string(contact_.size) + "; all must have the same WORLD_SIZE";
  }
  if (hello.rank == 0 || hello.rank >= hello.size) {
    return who + " of " + std::to_string(hello.size) + ": " +
           (hello.rank == 0 ? "there is one already" : "there is no such rank");
  }
  const UniqueFd& present = connections_[hello.rank];
  if (present && !isGone(present.get())) return who + ": there is one already";
  return "";
}

// Rank 0's part.
Status Rendezvous::host(UniqueFd listener) {
  if (!listener) {
    DCC_ASSIGN(listener, listenOn(contact_.port));
  }
  const Hash host = hostIdentity();
  members_[0].host = host;
  members_[0].use_tcp = contact_.use_tcp;
  std::string refused;
  Lobby lobby(listener.get(), sizeof(Hello));
  for (uint32_t present = 1; present < contact_.size;) {
    std::optional<Guest> guest = lobby.next(deadline_);
    if (!guest) break;
    Hello hello;
    std::memcpy(&hello, guest->greeting.data(), sizeof(hello));
    if (std::memcmp(hello.magic, kHelloMagic, sizeof(kHelloMagic)) != 0) continue;  // a stranger
    if (std::string why = refusalOf(hello); !why.empty()) {
      refuse(guest->fd.get(), why, steady_clock::now() + kAnswerTime);
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
    if (fd) refuse(fd.get(), why, steady_clock::now() + kAnswerTime);
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
    const Status sent =
        answer(connections_[r].get(), true, table, steady_clock::now() + kAnswerTime);
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
  const auto named = [&](const Status& status) {
    return runtimeError(where + ": " + status.error().message);
  };
  const TimePoint limit = deadline_ + kAnswerTime;
  const Hello hello = helloOf(contact_, hostIdentity(), ownAddress(listener_.get()).port);
  if (Status sent = sendAll(fd.get(), bytesOf(hello), limit); !sent.ok()) return named(sent);
  Answer head;
  if (Status got = receiveAll(fd.get(), writableBytesOf(head), limit); !got.ok()) return named(got);
  const size_t expected =
      head.welcome ? sizeof(Hash) + members_.size() * sizeof(Member) : kMaxReason;
  if (std::memcmp(head.magic, kHelloMagic, sizeof(kHelloMagic)) != 0 || head.bytes > expected ||
      (head.welcome && head.bytes != expected)) {
    return runtimeError(where + ": something else answers there; --store-port names another port");
  }
  std::vector<std::byte> body(head.bytes);
  if (Status got = receiveAll(fd.get(), body, limit); !got.ok()) return named(got);
  if (!head.welcome) {
    return runtimeError(
        printable({reinterpret_cast<const char*>(body.data()), body.size()}, kMaxReason));
  }
  std::memcpy(&nonce_, body.data(), sizeof(Hash));
  std::memcpy(members_.data(), body.data() + sizeof(Hash), members_.size() * sizeof(Member));
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
  PeerHello hello{};
  std::memcpy(hello.magic, kPeerMagic, sizeof(kPeerMagic));
  hello.nonce = nonce_;
  hello.rank = own;
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
    const bool ours = std::memcmp(hello.magic, kPeerMagic, sizeof(kPeerMagic)) == 0 &&
                      hello.nonce == nonce_ && hello.rank > own && hello.rank < contact_.size &&
                      !connections_[hello.rank];
    if (!ours) continue;
    connections_[hello.rank] = std::move(guest->fd);
    --missing;
  }
  listener_.reset();
  return std::move(connections_);
}

}  // namespace dcc::launch
