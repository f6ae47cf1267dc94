// Meetings that do not come about: how all who can be told hear why.
#pragma once

#include "runtime/base/status.h"
#include "runtime/launch/contact.h"
#include "runtime/launch/greeting.h"
#include "runtime/launch/lobby.h"

namespace dcc::launch {

// Tells the members that come to rank 0, whose greeting is `own`, in the next half second, but no
// longer than the meeting would have waited: ranks that are being started at the same time come
// within so long of each other.
void refuseGuests(Lobby& lobby, const Hello& own, const Contact& contact, const Error& why);

// Of a rank that has failed before it met the others: tells rank 0, or, being rank 0, those that
// look for it, so that nobody waits for it. Takes half a second at most, and the time that a name's
// look-up takes.
void excuse(const Contact& contact, const Error& why);
// What such a rank says after its greeting.
Error excuseOf(const Guest& guest);

}  // namespace dcc::launch
