// A rank's TCP connection to one peer: frames out and in, without ever waiting.
//
// A frame is a header and its payload. Data frames belong to calls and carry their tag; between
// them a peer may send beats (signs of life) and, as the last thing, why the group has ended. Every
// header says where the peer is (collectives/whereabouts.h).
// All ranks are the same build on machines of one byte order (launch/rendezvous.h sees to it).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "runtime/base/unique_fd.h"
#include "runtime/collectives/call.h"
#include "runtime/collectives/communicator.h"
#include "runtime/collectives/whereabouts.h"

namespace dcc {

class TcpLink {
 public:
  // A connected stream socket to rank `peer` of a group in which we are `self`; `own` is where we
  // are, and outlives the link.
  TcpLink(UniqueFd fd, uint32_t self, uint32_t peer, const Whereabouts& own);

  // What the coming exchange moves; the memory stays valid until busy() is false.
  void send(const CallTag& tag, const void* data, size_t bytes);
  void receive(const CallTag& tag, void* data, size_t bytes);
  // The last exchange, of no bytes: nothing can be sent after it.
  void leave(const CallTag& tag);
  // No exchange comes any more, and memory given before is left alone: of what the peer still sends
  // only its last frame is looked for.
  void awaitEnd();

  bool busy() const { return sending_ || receiving_; }
  bool sending() const { return sending_; }
  bool receiving() const { return receiving_; }
  // Moves what the socket takes and has. True when something moved.
  bool advance();

  int fd() const { return fd_.get(); }
  uint32_t peer() const { return peer_; }
  // What poll() should wait for.
  short events() const;

  // The peer said why the group has ended, or is in another call than we are (rank -1: ours to
  // say).
  const std::optional<GroupError>& failure() const { return failure_; }
  // The connection ended without a word.
  bool lost() const { return lost_; }

  // Payloads of data frames, as the socket has taken and given them.
  const Traffic& traffic() const { return traffic_; }

  // Where the peer was when it sent what was received last.
  const Where& peerWhere() const { return peer_where_; }
  // Hears what the peer has said since, up to its next call. Not while receiving().
  void hear();
  // For how long nothing has come from the peer, read or not.
  std::chrono::milliseconds silence() const;

  // A frame without a call, unless the socket is full; not while sending(). `alive`: a sign of
  // life; else only where we are.
  void beat(bool alive);
  // The last frame, best effort.
  void sendEnd(const GroupError& why);

 private:
  enum class Kind : uint32_t { kData = 0x32445244, kBeat = 0x32425244, kEnd = 0x32455244 };
  struct Header {
    Kind kind;
    uint32_t beats;  // signs of life between calls so far
    CallTag tag;
    uint64_t payload;  // bytes that follow
    Where where;
  };
  static_assert(sizeof(Header) == 48);
  static constexpr size_t kMaxReason = 2048;

  bool advanceSend();
  bool advanceReceive();
  bool fill();
  enum class Taken { kNothing, kNews, kNoNews };
  Taken takeFrame();
  bool note(const Header& header);
  size_t buffered() const { return filled_ - taken_; }

  UniqueFd fd_;
  uint32_t self_, peer_;
  const Whereabouts* own_;
  uint32_t beats_ = 0;
  Where peer_where_;
  uint32_t peer_beats_ = 0;
  std::optional<GroupError> failure_;
  bool lost_ = false;
  Traffic traffic_;

  bool sending_ = false;
  Header out_header_{};
  const std::byte* out_ = nullptr;
  size_t out_bytes_ = 0;  // header and payload
  size_t sent_ = 0;
  bool leaving_ = false;  // what is being sent is the last
  bool refused_ = false;  // the peer takes no more
  std::string carry_;     // the rest of a beat that the socket took only in part

  bool receiving_ = false, in_payload_ = false;
  CallTag expected_;
  std::byte* in_ = nullptr;
  size_t in_rest_ = 0;
  bool only_end_ = false;
  uint64_t drop_ = 0;  // bytes of a payload that nobody wants
  std::array<std::byte, 16384> buffer_;
  size_t taken_ = 0, filled_ = 0;
};

}  // namespace dcc
