// Abstract unix sockets, between processes of one user on one host: no file is left behind, no port
// is taken, and the kernel says whose the other end is. Non-blocking and not inherited, as in
// net.h.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "runtime/base/status.h"
#include "runtime/base/unique_fd.h"
#include "runtime/launch/net.h"

namespace dcc::launch {

// The longest name of an abstract socket, in bytes.
inline constexpr size_t kLongestLocalName = 107;

// Errors (user): the name is taken, by whom; (runtime) no socket.
Result<UniqueFd> listenLocally(const std::string& name);

// Connects again and again until somebody listens there. Errors: (runtime) none did until the
// deadline; (user) it is another user's.
Result<UniqueFd> connectLocally(const std::string& name, TimePoint deadline);

// The process at the other end is of our effective user (SO_PEERCRED).
bool isOfOurUser(int socket);

// The process that made the other end of a unix socket; nothing where it is none, or the process is
// of a PID namespace that cannot be seen from here.
std::optional<pid_t> peerProcess(int socket);

// Hands a descriptor to the other end. Errors (runtime): it is gone; the deadline; none came.
Status sendDescriptor(int socket, int fd, TimePoint deadline);
Result<UniqueFd> receiveDescriptor(int socket, TimePoint deadline);

}  // namespace dcc::launch
