#include "runtime/launch/greeting.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "runtime/base/printable.h"

namespace dcc::launch {
namespace {

constexpr char kHelloMagic[8] = {'d', 'r', 'u', 'n', 'm', 'e', 'e', 't'};
constexpr char kPeerMagic[8] = {'d', 'r', 'u', 'n', 'p', 'e', 'e', 'r'};
constexpr uint32_t kProtocol = 1;
constexpr uint32_t kByteOrder = 0x01020304;
constexpr size_t kMaxReason = 2048;

struct Answer {
  char magic[8];
  uint32_t welcome;  // else a refusal
  uint32_t bytes;    // that follow
};

// Takes as long for a wrong secret as for the right one.
bool sameSecret(const char (&a)[64], const char (&b)[64]) {
  unsigned char differ = 0;
  for (size_t i = 0; i < sizeof(a); ++i) differ |= static_cast<unsigned char>(a[i] ^ b[i]);
  return differ == 0;
}

Status answer(int fd, bool welcome, std::span<const std::byte> body, TimePoint deadline) {
  Answer head{};
  std::memcpy(head.magic, kHelloMagic, sizeof(kHelloMagic));
  head.welcome = welcome;
  head.bytes = static_cast<uint32_t>(body.size());
  DCC_RETURN_IF_ERROR(sendAll(fd, bytesOf(head), deadline));
  return sendAll(fd, body, deadline);
}

}  // namespace

Hello makeHello(uint32_t rank, uint32_t size, const std::string& secret) {
  Hello hello{};
  std::memcpy(hello.magic, kHelloMagic, sizeof(kHelloMagic));
  hello.protocol = kProtocol;
  hello.byte_order = kByteOrder;
  hello.rank = rank;
  hello.size = size;
  std::memcpy(hello.secret, secret.data(), std::min(secret.size(), sizeof(hello.secret)));
  return hello;
}

bool isHello(const Hello& hello) {
  return std::memcmp(hello.magic, kHelloMagic, sizeof(kHelloMagic)) == 0;
}

std::string refusalOf(const Hello& hello, const Hello& own) {
  const std::string who = "rank " + std::to_string(hello.rank);
  if (hello.protocol != kProtocol || hello.byte_order != kByteOrder) {
    return who + " is another version of drun; all ranks must run the same";
  }
  if (!sameSecret(hello.secret, own.secret)) {
    return who + " has another DRUN_SECRET than rank 0; all ranks must have the same";
  }
  if (hello.size != own.size) {
    return who + " is one of " + std::to_string(hello.size) + " ranks, rank 0 of " +
           std::to_string(own.size) + "; all must have the same WORLD_SIZE";
  }
  if (hello.rank == 0) return who + ": there is one already";
  if (hello.rank >= own.size) {
    return who + " of " + std::to_string(own.size) + ": there is no such rank";
  }
  return "";
}

PeerHello makePeerHello(const Hash& nonce, uint32_t rank) {
  PeerHello hello{};
  std::memcpy(hello.magic, kPeerMagic, sizeof(kPeerMagic));
  hello.nonce = nonce;
  hello.rank = rank;
  return hello;
}

bool isPeerHello(const PeerHello& hello, const Hash& nonce) {
  return std::memcmp(hello.magic, kPeerMagic, sizeof(kPeerMagic)) == 0 && hello.nonce == nonce;
}

Status sendTable(int fd, std::span<const std::byte> table, TimePoint deadline) {
  return answer(fd, true, table, deadline);
}

void sendRefusal(int fd, const std::string& why, TimePoint deadline) {
  const auto reason = std::as_bytes(std::span(why).first(std::min(why.size(), kMaxReason)));
  (void)answer(fd, false, reason, deadline).ok();
}

Status receiveTable(int fd, const std::string& where, std::span<std::byte> table,
                    TimePoint deadline) {
  const auto receive = [&](std::span<std::byte> bytes) -> Status {
    const Status got = receiveAll(fd, bytes, deadline);
    return got.ok() ? got : runtimeError(where + ": " + got.error().message);
  };
  Answer head;
  DCC_RETURN_IF_ERROR(receive(writableBytesOf(head)));
  if (std::memcmp(head.magic, kHelloMagic, sizeof(kHelloMagic)) != 0 ||
      (head.welcome ? head.bytes != table.size() : head.bytes > kMaxReason)) {
    return runtimeError(where + ": something else answers there; --store-port names another port");
  }
  if (head.welcome) return receive(table);
  std::vector<std::byte> why(head.bytes);
  DCC_RETURN_IF_ERROR(receive(why));
  return runtimeError(
      printable({reinterpret_cast<const char*>(why.data()), why.size()}, kMaxReason));
}

}  // namespace dcc::launch
