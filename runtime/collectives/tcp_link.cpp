#include "runtime/collectives/tcp_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/base/printable.h"

namespace dcc {
namespace {

using std::chrono::milliseconds;

bool tryLater() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

TcpLink::TcpLink(UniqueFd fd, uint32_t self, uint32_t peer, const Whereabouts& own)
    : fd_(std::move(fd)), self_(self), peer_(peer), own_(&own) {}

void TcpLink::send(const CallTag& tag, const void* data, size_t bytes) {
  out_header_ = {Kind::kData, beats_, tag, bytes, own_->read()};
  out_ = static_cast<const std::byte*>(data);
  out_bytes_ = sizeof(Header) + bytes;
  sent_ = 0;
  sending_ = true;
}

void TcpLink::receive(const CallTag& tag, void* data, size_t bytes) {
  expected_ = tag;
  in_ = static_cast<std::byte*>(data);
  in_rest_ = bytes;
  in_payload_ = false;
  receiving_ = true;
}

void TcpLink::leave(const CallTag& tag) {
  send(tag, nullptr, 0);
  receive(tag, nullptr, 0);
  leaving_ = true;
}

void TcpLink::awaitEnd() {
  if (only_end_) return;
  only_end_ = receiving_ = true;
  if (in_payload_) drop_ = in_rest_;
  in_payload_ = false;
}

bool TcpLink::advance() {
  if (failure_ || lost_) return false;
  const bool sent = sending_ && advanceSend();
  const bool received = receiving_ && advanceReceive();
  if (refused_ && !receiving_ && !failure_) {  // it may have said why before it went
    awaitEnd();
    advanceReceive();
    lost_ = !failure_;
  }
  return sent || received;
}

short TcpLink::events() const {
  return static_cast<short>((sending_ ? POLLOUT : 0) | (receiving_ ? POLLIN : 0));
}

bool TcpLink::advanceSend() {
  bool moved = false;
  while (sending_) {
    iovec parts[3];
    int count = 0;
    if (!carry_.empty()) parts[count++] = {carry_.data(), carry_.size()};
    if (sent_ < sizeof(Header)) {
      parts[count++] = {reinterpret_cast<std::byte*>(&out_header_) + sent_, sizeof(Header) - sent_};
    }
    const size_t payload = std::max(sent_, sizeof(Header));
    if (payload < out_bytes_) {
      parts[count++] = {const_cast<std::byte*>(out_) + (payload - sizeof(Header)),
                        out_bytes_ - payload};
    }
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = static_cast<size_t>(count);
    const ssize_t n = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
      if (!tryLater()) {
        refused_ = true;
        sending_ = false;
      }
      return moved;
    }
    moved = true;
    const size_t carried = std::min(carry_.size(), static_cast<size_t>(n));
    carry_.erase(0, carried);
    sent_ += static_cast<size_t>(n) - carried;
    traffic_.sent += std::max(sent_, sizeof(Header)) - payload;
    sending_ = sent_ < out_bytes_;
  }
  if (leaving_) ::shutdown(fd_.get(), SHUT_WR);
  return moved;
}

bool TcpLink::advanceReceive() {
  bool moved = false;
  while (receiving_ && !failure_ && !lost_) {
    if (drop_ > 0) {
      if (buffered() == 0 && !fill()) return moved;
      const size_t n = std::min<uint64_t>(drop_, buffered());
      taken_ += n;
      drop_ -= n;
      continue;
    }
    if (!in_payload_) {
      const Taken taken = takeFrame();
      moved |= taken == Taken::kNews;
      if (taken == Taken::kNothing && !fill()) return moved;
      continue;
    }
    if (const size_t n = std::min(in_rest_, buffered()); n > 0) {
      std::memcpy(in_, buffer_.data() + taken_, n);
      taken_ += n;
      in_ += n;
      in_rest_ -= n;
      traffic_.received += n;
    } else if (in_rest_ >= buffer_.size()) {  // straight to its place
      const ssize_t n = ::recv(fd_.get(), in_, in_rest_, MSG_DONTWAIT);
      if (n <= 0) {
        lost_ = n == 0 || !tryLater();
        return moved;
      }
      in_ += n;
      in_rest_ -= static_cast<size_t>(n);
      traffic_.received += static_cast<size_t>(n);
    } else if (in_rest_ > 0 && !fill()) {
      return moved;
    }
    moved = true;
    if (in_rest_ == 0) receiving_ = in_payload_ = false;
  }
  return moved;
}

// More bytes into the buffer; false when there are none now, or never again.
bool TcpLink::fill() {
  if (taken_ == filled_) {
    taken_ = filled_ = 0;
  } else if (taken_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + taken_, buffered());
    filled_ -= taken_;
    taken_ = 0;
  }
  const ssize_t n =
      ::recv(fd_.get(), buffer_.data() + filled_, buffer_.size() - filled_, MSG_DONTWAIT);
  if (n <= 0) {
    lost_ = n == 0 || !tryLater();
    return false;
  }
  filled_ += static_cast<size_t>(n);
  return true;
}

// Keeps where the peer is; whether that is news: it has gone on, or says that it is alive.
bool TcpLink::note(const Header& header) {
  const bool news = !(header.where == peer_where_) || header.beats != peer_beats_;
  peer_where_ = header.where;
  peer_beats_ = header.beats;
  return news;
}

void TcpLink::hear() {
  Header header;
  while (!failure_ && !lost_ && !receiving_ && drop_ == 0) {
    if (buffered() < sizeof(Header)) {
      if (!fill()) return;
      continue;
    }
    std::memcpy(&header, buffer_.data() + taken_, sizeof(Header));
    if (header.kind == Kind::kEnd) {
      if (takeFrame() == Taken::kNothing && !fill()) return;
      continue;
    }
    if (header.kind != Kind::kBeat && header.kind != Kind::kData) return;
    note(header);
    if (header.kind == Kind::kData) return;  // of a call to come
    taken_ += sizeof(Header);
  }
}

milliseconds TcpLink::silence() const {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (::getsockopt(fd_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return milliseconds{0};
  int unread = 0;
  ::ioctl(fd_.get(), FIONREAD, &unread);
  // What has not been read may leave no room for more; its host still acknowledges what we send.
  const uint32_t since = unread == 0 ? info.tcpi_last_data_recv
                                     : std::min(info.tcpi_last_data_recv, info.tcpi_last_ack_recv);
  return milliseconds{since};
}

// Takes the header of the next frame, or all of a frame that is no call's.
TcpLink::Taken TcpLink::takeFrame() {
  Header header;
  if (buffered() < sizeof(Header)) return Taken::kNothing;  // more bytes must come first
  std::memcpy(&header, buffer_.data() + taken_, sizeof(Header));
  if (header.kind == Kind::kEnd && header.payload <= kMaxReason) {
    if (buffered() < sizeof(Header) + header.payload) return Taken::kNothing;
    const char* text = reinterpret_cast<const char*>(buffer_.data() + taken_ + sizeof(Header));
    const bool user = static_cast<Fault>(header.tag.op) == Fault::kUser;
    note(header);
    failure_ = GroupError{
        static_cast<int32_t>(header.tag.stamp),
        Error{printable({text, header.payload}, kMaxReason), user ? Fault::kUser : Fault::kRuntime},
        header.tag.root != 0};
    return Taken::kNews;
  }
  taken_ += sizeof(Header);
  if (header.kind == Kind::kBeat) return note(header) ? Taken::kNews : Taken::kNoNews;
  if (header.kind == Kind::kData) note(header);
  if (only_end_ && header.kind == Kind::kData) {
    drop_ = header.payload;
    return Taken::kNews;
  }
  if (header.kind != Kind::kData || (header.tag == expected_ && header.payload != in_rest_)) {
    failure_ = GroupError{static_cast<int32_t>(peer_), runtimeError("sent what is no frame")};
  } else if (!(header.tag == expected_)) {
    failure_ = GroupError{static_cast<int32_t>(self_),
                          divergenceError(self_, expected_, peer_, header.tag)};
  } else {
    in_payload_ = in_rest_ > 0;
    receiving_ = in_payload_;
  }
  return Taken::kNews;
}

void TcpLink::beat(bool alive) {
  if (failure_ || lost_ || !carry_.empty()) return;
  if (alive) ++beats_;
  const Header header{Kind::kBeat, beats_, {}, 0, own_->read()};
  const char* bytes = reinterpret_cast<const char*>(&header);
  const ssize_t n = ::send(fd_.get(), bytes, sizeof(header), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n > 0) carry_.assign(bytes + n, sizeof(header) - static_cast<size_t>(n));
}

void TcpLink::sendEnd(const GroupError& why) {
  // In the middle of a frame there is no place for another; the peer then finds the connection
  // lost.
  const bool between = carry_.empty() && (!sending_ || sent_ == 0);
  if (between && !lost_) {
    const std::string reason = why.error.message.substr(0, kMaxReason);
    // The tag has no other use here.
    const CallTag tag{static_cast<uint16_t>(why.error.fault), why.lost,
                      static_cast<uint32_t>(why.rank)};
    const Header header{Kind::kEnd, beats_, tag, reason.size(), own_->read()};
    const std::string frame =
        std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + reason;
    (void)!::send(fd_.get(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  ::shutdown(fd_.get(), SHUT_WR);
}

}  // namespace dcc
