// Where and as whom a rank meets the others.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "runtime/launch/place.h"

namespace dcc::launch {

enum class Transport { kAuto, kSharedMemory, kTcp };

struct MeetOptions {
  Transport transport = Transport::kAuto;  // kAuto: shared memory where all are on one host
  // Ranks that somebody else started have so long to come.
  std::chrono::milliseconds deadline{60'000};
  // Where rank 0 listens over TCP; 0: Place::store_port.
  uint16_t store_port = 0;
};

struct Contact {
  uint32_t rank = 0, size = 1;
  // Where all ranks are known to be on one host: the socket they meet at, at most kLongestLocalName
  // bytes. "": they meet over TCP.
  std::string room;
  std::string host;      // where rank 0 is
  uint16_t port = 0;     // and listens
  std::string secret;    // the same on all ranks; may be empty; at most 64 bytes
  bool use_tcp = false;  // this rank must not share memory
  std::chrono::milliseconds deadline{60'000};
};

// Of a rank at `place`, whose secret is the environment's.
Contact contactOf(const Place& place, const MeetOptions& options);

}  // namespace dcc::launch
