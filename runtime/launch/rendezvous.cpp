#include "runtime/launch/rendezvous.h"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "runtime/base/progress.h"
#include "runtime/collectives/call.h"
#include "runtime/launch/local_socket.h"
#include "runtime/launch/refusal.h"

namespace dcc::launch {

namespace {

using std::chrono::steady_clock;

// A refusal or the table may come a little after the deadline it speaks of.
constexpr std::chrono::seconds kAnswerTime{5};
// How often rank 0, waiting, looks whether those that have come are still there.
constexpr std::chrono::milliseconds kGlance{100};

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
    DCC_ASSIGN(listener,
               contact_.room.empty() ? listenOn(contact_.port) : listenLocally(contact_.room));
  }
  if (!contact_.room.empty()) DCC_RETURN_IF_ERROR(listenForPeers(members_[0].address));
  const Hello own = makeHello(0, contact_.size, contact_.secret);
  members_[0].host = hostIdentity();
  members_[0].use_tcp = contact_.use_tcp;
  Lobby lobby(listener.get(), sizeof(Hello));
  Status gathered = gather(lobby, own);
  if (gathered.ok()) return welcomeAll();
  for (const UniqueFd& fd : connections_) {
    if (fd) sendRefusal(fd.get(), gathered.error(), steady_clock::now() + kAnswerTime);
  }
  refuseGuests(lobby, own, contact_, gathered.error());
  return gathered;
}

// Waits for the others.
Status Rendezvous::gather(Lobby& lobby, const Hello& own) {
  std::string refused;
  Progress line("waiting for ranks", "ranks");
  uint32_t awaited = contact_.size - 1;
  while (awaited > 0 && steady_clock::now() < deadline_) {
    DCC_ASSIGN(std::optional<Guest> guest,
               lobby.next(std::min(deadline_, steady_clock::now() + kGlance)));
    if (!guest) {
      DCC_RETURN_IF_ERROR(lookAround());
      continue;
    }
    Hello hello;
    std::memcpy(&hello, guest->greeting.data(), sizeof(hello));
    if (!isHello(hello) || (!contact_.room.empty() && !isOfOurUser(guest->fd.get()))) continue;
    if (const std::string why = strangerText(hello, own); !why.empty()) {
      sendRefusal(guest->fd.get(), runtimeError(why), steady_clock::now() + kAnswerTime);
      refused = "; refused: " + why;
      continue;
    }
    if (hello.excused != 0) return excuseOf(*guest);
    const bool there = hello.rank < contact_.size && connections_[hello.rank];
    if (const std::string mistake = mistakeOf(hello, own, there); !mistake.empty()) {
      const Error why = userError("start: " + mistake);
      sendRefusal(guest->fd.get(), why, steady_clock::now() + kAnswerTime);
      return why;
    }
    Member& member = members_[hello.rank];
    member.host = hello.host;
    member.use_tcp = hello.use_tcp;
    if (contact_.room.empty()) member.address = peerAddress(guest->fd.get());
    member.address.port = static_cast<uint16_t>(hello.port);
    connections_[hello.rank] = std::move(guest->fd);
    --awaited;
    line.update(contact_.size - awaited, contact_.size);
  }
  std::string missing;
  for (uint32_t r = 1; r < contact_.size; ++r) {
    if (!connections_[r]) missing += (missing.empty() ? "" : ", ") + std::to_string(r);
  }
  if (missing.empty()) return Status::success();
  return runtimeError("start: no sign of rank " + missing + " for " +
                      secondsText(contact_.deadline) + " s" + refused +
                      "; a longer --timeout waits longer");
}

// Who came and is gone does not come again.
Status Rendezvous::lookAround() const {
  for (uint32_t r = 1; r < contact_.size; ++r) {
    if (!connections_[r] || !isGone(connections_[r].get())) continue;
    return runtimeError("start: rank " + std::to_string(r) + " ended while others were awaited");
  }
  return Status::success();
}

Status Rendezvous::welcomeAll() {
  nonce_ = randomHash();
  if (sharesMemory()) {
    DCC_ASSIGN(handover_, listenLocally(handoverName()));
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
  const bool local = !contact_.room.empty();
  Address own;
  DCC_RETURN_IF_ERROR(listenForPeers(own));
  DCC_ASSIGN(UniqueFd fd, local ? connectLocally(contact_.room, deadline_)
                                : connectTo(contact_.host, contact_.port, deadline_));
  const std::string where =
      "rank 0 at " +
      (local ? "@" + contact_.room : contact_.host + ":" + std::to_string(contact_.port));
  const TimePoint limit = deadline_ + kAnswerTime;
  Hello hello = makeHello(contact_.rank, contact_.size, contact_.secret);
  hello.use_tcp = contact_.use_tcp;
  hello.port = own.port;
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

uint32_t Rendezvous::localBefore(uint32_t rank) const {
  uint32_t count = 0;
  for (uint32_t r = 0; r < rank; ++r) count += isLocal(r);
  return count;
}

uint32_t Rendezvous::localSize() const { return localBefore(contact_.size); }
uint32_t Rendezvous::localRank() const { return localBefore(contact_.rank); }

std::string Rendezvous::handoverName() const { return "drun-" + nonce_.hex(); }

Result<SharedMapping> Rendezvous::share(size_t bytes,
                                        const std::function<Status(std::span<std::byte>)>& format) {
  const TimePoint limit = steady_clock::now() + contact_.deadline;
  if (contact_.rank != 0) {
    DCC_ASSIGN(const UniqueFd socket, connectLocally(handoverName(), limit));
    Result<UniqueFd> fd = receiveDescriptor(socket.get(), limit);
    if (!fd.ok()) return runtimeError("shared memory: none from rank 0: " + fd.error().message);
    return SharedMapping::open(std::move(fd).value().release());
  }
  DCC_ASSIGN(SharedMapping mapping, SharedMapping::create(bytes));
  DCC_RETURN_IF_ERROR(format(mapping.memory()));
  for (uint32_t served = 1; served < contact_.size;) {
    if (!waitFor(handover_.get(), POLLIN, limit)) {
      return runtimeError("shared memory: not all ranks came for it in time");
    }
    const UniqueFd guest(
        ::accept4(handover_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!guest || !isOfOurUser(guest.get())) continue;
    const Status sent = sendDescriptor(guest.get(), mapping.fd(), limit);
    if (!sent.ok()) {
      return runtimeError("shared memory: cannot be handed on: " + sent.error().message);
    }
    ++served;
  }
  handover_.reset();
  return mapping;
}

// For peers that connect over TCP, on this host alone where all are on it.
Status Rendezvous::listenForPeers(Address& own) {
  DCC_ASSIGN(listener_, listenOn(0, !contact_.room.empty()));
  own.port = ownAddress(listener_.get()).port;
  return Status::success();
}

// Each rank connects to those below it, which listen since before they were in the table.
Result<std::vector<UniqueFd>> Rendezvous::connectAll() {
  const uint32_t own = contact_.rank;
  const TimePoint limit = steady_clock::now() + contact_.deadline;
  const bool over_tcp = contact_.room.empty();  // the connections to rank 0
  if (!over_tcp) connections_ = std::vector<UniqueFd>(contact_.size);
  PeerHello hello = makePeerHello(nonce_, own);
  for (uint32_t r = over_tcp ? 1 : 0; r < own; ++r) {
    Address address = members_[r].address;
    // It met rank 0 on their own host: from elsewhere it is where rank 0 is.
    if (over_tcp && address.isLoopback()) address.ip = peerAddress(connections_[0].get()).ip;
    Result<UniqueFd> fd = connectTo(address, limit);
    Status said = fd.ok() ? sendAll(fd->get(), bytesOf(hello), limit) : Status(fd.error());
    if (!said.ok()) return runtimeError("rank " + std::to_string(r) + ": " + said.error().message);
    connections_[r] = std::move(fd).value();
  }
  if (own > 0 || !over_tcp) {
    DCC_RETURN_IF_ERROR(letIn(connections_, own, listener_.get(), nonce_, limit));
  }
  listener_.reset();
  return std::move(connections_);
}

Status Rendezvous::letIn(std::vector<UniqueFd>& peers, uint32_t own, int listener,
                         const Hash& nonce, TimePoint deadline) {
  Lobby lobby(listener, sizeof(PeerHello));
  for (size_t missing = peers.size() - 1 - own; missing > 0;) {
    DCC_ASSIGN(std::optional<Guest> guest, lobby.next(deadline));
    if (!guest) return runtimeError("start: not all ranks could connect to each other in time");
    PeerHello hello;
    std::memcpy(&hello, guest->greeting.data(), sizeof(hello));
    const bool ours = isPeerHello(hello, nonce) && hello.rank > own && hello.rank < peers.size() &&
                      !peers[hello.rank];
    if (!ours) continue;
    peers[hello.rank] = std::move(guest->fd);
    --missing;
  }
  return Status::success();
}

}  // namespace dcc::launch
