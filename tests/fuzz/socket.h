// Streams of bytes from a peer that is the fuzzer, or a seed.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "runtime/base/file.h"
#include "runtime/base/hash.h"
#include "runtime/base/unique_fd.h"

namespace dcc::fuzz {

// Of the meeting whose peers are visited.
inline constexpr Hash kNonce{17, 23};

inline std::pair<UniqueFd, UniqueFd> socketPair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0) std::abort();
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// Says all of `bytes` that the socket takes.
inline void say(int fd, std::span<const uint8_t> bytes) {
  (void)!::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

// What has been said to `fd`.
inline std::string heard(int fd) {
  std::string bytes(1 << 16, '\0');
  const ssize_t n = ::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
  bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return bytes;
}

inline void writeSeed(const std::string& directory, const std::string& name,
                      const std::string& bytes) {
  std::filesystem::create_directories(directory);
  if (!writeFile(directory + "/" + name, bytes).ok()) std::abort();
}

}  // namespace dcc::fuzz
