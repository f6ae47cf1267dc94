// What ranks say when they meet (launch/rendezvous.h), as bytes. Whoever says it may be anybody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "runtime/base/hash.h"
#include "runtime/launch/net.h"

namespace dcc::launch {

// A rank's first words to rank 0.
struct Hello {
  char magic[8];
  uint32_t protocol, byte_order;
  uint32_t rank, size;
  uint32_t use_tcp;
  uint32_t port;               // where it listens for its peers
  uint32_t excused, reserved;  // 1: it will not come; a refusal of its own follows
  Hash host;
  char secret[64];
};

// All but `use_tcp`, `port`, `excused` and `host`. `secret`: at most 64 bytes.
Hello makeHello(uint32_t rank, uint32_t size, const std::string& secret);
// False for what no drun would say.
bool isHello(const Hello& hello);
// Why `hello` is of no member of the group of `own`, rank 0's: another secret, or another version
// of drun; empty: it is of one. Who is none may be anybody, and the group goes on without it.
std::string strangerText(const Hello& hello, const Hello& own);
// What is wrong with a member, so that the group cannot come together; empty: nothing. `there`: its
// number has been taken by another.
std::string mistakeOf(const Hello& hello, const Hello& own, bool there);

// A rank's first words to a peer, when both have met rank 0.
struct PeerHello {
  char magic[8];
  Hash nonce;  // of the meeting
  uint32_t rank, reserved;
};

PeerHello makePeerHello(const Hash& nonce, uint32_t rank);
bool isPeerHello(const PeerHello& hello, const Hash& nonce);

// Rank 0's answer: a table whose size both sides know, or why there is none.
Status sendTable(int fd, std::span<const std::byte> table, TimePoint deadline);
void sendRefusal(int fd, const Error& why, TimePoint deadline);
// Errors: the refusal's; (runtime) with `where` in front: the connection ended, the deadline, no
// answer of a rank 0.
Status receiveTable(int fd, const std::string& where, std::span<std::byte> table,
                    TimePoint deadline);

}  // namespace dcc::launch
