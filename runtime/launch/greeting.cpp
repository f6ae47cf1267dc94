#include "runtime/launch/greeting.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "runtime/base/printable.h"

namespace dcc::launch {
namespace {

constexpr char kHelloMagic[8] = {'d', 'r', 'u', 'n', 'm', 'e', 'e', 't'};
constexpr char kPeerMagic[8] = {'d', 'r', 'u', 'n', 'p', 'e', 'e', 'r'};
constexpr uint32_t kProtocol = 2;
constexpr uint32_t kByteOrder = 0x01020304;
constexpr size_t kMaxReason = 2048;

enum class Kind : uint32_t { kTable = 1, kRuntimeError = 2, kUserError = 3 };

struct Answer {
  char magic[8];
  Kind kind;
  uint32_t bytes;  // that follow
};

// Takes as long for a wrong secret as for the right one.
bool sameSecret(const char (&a)[64], const char (&b)[64]) {
  unsigned char differ = 0;
  for (size_t i = 0; i < sizeof(a); ++i) differ |= static_cast<unsigned char>(a[i] ^ b[i]);
  return differ == 0;
}

Status answer(int fd, Kind kind, std::span<const std::byte> body, TimePoint deadline) {
  Answer head{};
  std::memcpy(head.magic, kHelloMagic, sizeof(kHelloMagic));
  head.kind = kind;
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

std::string strangerText(const Hello& hello, const Hello& own) {
  const std::string who = "rank " + std::to_string(hello.rank);
  if (hello.protocol != kProtocol || hello.byte_order != kByteOrder) {
    return who + " is another version of drun; all ranks must run the same";
  }
  if (!sameSecret(hello.secret, own.secret)) {
    return who + " has another DRUN_SECRET than rank 0; all ranks must have the same";
  }
  return "";
}

std::string mistakeOf(const Hello& hello, const Hello& own, bool there) {
  const std::string who = "rank " + std::to_string(hello.rank);
  if (hello.size != own.size) {
    return who + " is one of " + std::to_string(hello.size) + " ranks, rank 0 of " +
           std::to_string(own.size) + "; all must have the same world size";
  }
  if (hello.rank >= own.size) {
    return who + " of " + std::to_string(own.size) + ": there is no such rank";
  }
  if (there || hello.rank == own.rank) {
    return who + ": there is one already; every rank has a number of its own";
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
  return answer(fd, Kind::kTable, table, deadline);
}

void sendRefusal(int fd, const Error& why, TimePoint deadline) {
  const std::string& text = why.message;
  const auto reason = std::as_bytes(std::span(text).first(std::min(text.size(), kMaxReason)));
  const Kind kind = why.fault == Fault::kUser ? Kind::kUserError : Kind::kRuntimeError;
  (void)answer(fd, kind, reason, deadline).ok();
}

Status receiveTable(int fd, const std::string& where, std::span<std::byte> table,
                    TimePoint deadline) {
  const auto receive = [&](std::span<std::byte> bytes) -> Status {
    const Status got = receiveAll(fd, bytes, deadline);
    return got.ok() ? got : runtimeError(where + ": " + got.error().message);
  };
  Answer head;
  DCC_RETURN_IF_ERROR(receive(writableBytesOf(head)));
  const bool refused = head.kind == Kind::kRuntimeError || head.kind == Kind::kUserError;
  if (std::memcmp(head.magic, kHelloMagic, sizeof(kHelloMagic)) != 0 ||
      !(refused ? head.bytes <= kMaxReason
                : head.kind == Kind::kTable && head.bytes == table.size())) {
    return runtimeError(where + ": something else answers there; --store-port names another port");
  }
  if (!refused) return receive(table);
  std::vector<std::byte> reason(head.bytes);
  DCC_RETURN_IF_ERROR(receive(reason));
  const std::string why =
      printable({reinterpret_cast<const char*>(reason.data()), reason.size()}, kMaxReason);
  return head.kind == Kind::kUserError ? userError(why) : runtimeError(why);
}

}  // namespace dcc::launch
