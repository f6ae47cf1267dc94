#include "runtime/launch/refusal.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "runtime/launch/local_socket.h"
#include "runtime/launch/net.h"

namespace dcc::launch {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRefusalTime{500};

}  // namespace

void refuseGuests(Lobby& lobby, const Hello& own, const Contact& contact, const Error& why) {
  const TimePoint limit = steady_clock::now() + std::min(kRefusalTime, contact.deadline);
  for (;;) {
    const Result<std::optional<Guest>> next = lobby.next(limit);
    if (!next.ok() || !*next) return;
    const Guest& guest = **next;
    Hello hello;
    std::memcpy(&hello, guest.greeting.data(), sizeof(hello));
    if (isHello(hello) && strangerText(hello, own).empty()) sendRefusal(guest.fd.get(), why, limit);
  }
}

void excuse(const Contact& contact, const Error& why) {
  const TimePoint limit = steady_clock::now() + kRefusalTime;
  const bool local = !contact.room.empty();
  Hello own = makeHello(contact.rank, contact.size, contact.secret);
  if (contact.rank == 0) {
    const auto listener = local ? listenLocally(contact.room) : listenOn(contact.port);
    if (!listener.ok()) return;
    Lobby lobby(listener->get(), sizeof(Hello));
    return refuseGuests(lobby, own, contact, why);
  }
  const auto fd =
      local ? connectLocally(contact.room, limit) : connectTo(contact.host, contact.port, limit);
  if (!fd.ok()) return;
  own.excused = 1;
  if (sendAll(fd->get(), bytesOf(own), limit).ok()) sendRefusal(fd->get(), why, limit);
}

Error excuseOf(const Guest& guest) {
  const Status said = receiveTable(guest.fd.get(), "a rank that cannot come", {},
                                   steady_clock::now() + kRefusalTime);
  return said.ok() ? runtimeError("a rank cannot come, and does not say why") : said.error();
}

}  // namespace dcc::launch
