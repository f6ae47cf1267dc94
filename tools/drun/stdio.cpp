#include "tools/drun/stdio.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "runtime/base/file.h"

namespace dcc::drun {
namespace {

constexpr int kWaitMs = 100;

Status await(int fd, short events, const Waiting& waiting) {
  for (;;) {
    pollfd poll{fd, events, 0};
    const int ready = ::poll(&poll, 1, kWaitMs);
    if (ready > 0 || (ready < 0 && errno != EINTR)) return Status::success();
    if (waiting) DCC_RETURN_IF_ERROR(waiting());
  }
}

}  // namespace

Result<size_t> readSome(int fd, const std::string& name, const Waiting& waiting,
                        std::string& text) {
  char block[65536];
  for (;;) {
    DCC_RETURN_IF_ERROR(await(fd, POLLIN, waiting));
    const ssize_t n = ::read(fd, block, sizeof(block));
    if (n >= 0) {
      text.append(block, static_cast<size_t>(n));
      return static_cast<size_t>(n);
    }
    if (errno != EINTR && errno != EAGAIN) {
      return userError(name + ": cannot be read: " + errnoText(errno));
    }
  }
}

Result<std::string> readAll(int fd, const std::string& name, size_t max_bytes,
                            const Waiting& waiting) {
  std::string text;
  for (;;) {
    DCC_ASSIGN(const size_t n, readSome(fd, name, waiting, text));
    if (n == 0) return text;
    if (text.size() > max_bytes) {
      return userError(name + ": more than " + std::to_string(max_bytes) + " bytes");
    }
    if (waiting) DCC_RETURN_IF_ERROR(waiting());
  }
}

Result<bool> LineReader::next(std::string& line, const Waiting& waiting) {
  for (;;) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return true;
    }
    if (ended_) {
      line = std::move(buffer_);
      buffer_.clear();
      return !line.empty();
    }
    DCC_ASSIGN(const size_t n, readSome(fd_, "stdin", waiting, buffer_));
    ended_ = n == 0;
  }
}

bool Output::closed() {
  pollfd poll{STDOUT_FILENO, 0, 0};
  closed_ = closed_ || (::poll(&poll, 1, 0) > 0 && (poll.revents & POLLERR) != 0);
  return closed_;
}

Status Output::write(std::string_view text) {
  while (!text.empty() && !closed_) {
    DCC_RETURN_IF_ERROR(await(STDOUT_FILENO, POLLOUT, waiting_));
    // A pipe that is ready takes this much without blocking.
    const size_t n = std::min<size_t>(text.size(), PIPE_BUF);
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), n);
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EPIPE || errno == EBADF) {
      closed_ = true;  // ">&-" and a reader that left: nobody wants it
    } else if (errno != EINTR && errno != EAGAIN) {
      return runtimeError("stdout: cannot be written: " + errnoText(errno));
    }
  }
  return Status::success();
}

}  // namespace dcc::drun
