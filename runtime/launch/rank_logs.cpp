#include "runtime/launch/rank_logs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>

#include "runtime/base/file.h"

namespace dcc::launch {
namespace {

// Where nobody reads our standard error, ranks wait with more than this.
constexpr size_t kMostShown = size_t{1} << 20;

}  // namespace

Result<RankLogs> RankLogs::open(const std::string& dir, uint32_t first, uint32_t ranks) {
  std::error_code made;
  std::filesystem::create_directories(dir, made);
  if (made) return userError("--log-dir " + dir + ": cannot be made: " + errnoText(made.value()));
  RankLogs logs;
  for (uint32_t i = 0; i < ranks; ++i) {
    Log& log = logs.logs_.emplace_back();
    log.rank = first + i;
    log.path = dir + "/rank-" + std::to_string(log.rank) + ".log";
    log.file.reset(::open(log.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!log.file) return fileError("--log-dir " + log.path, "cannot be written", errno);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return runtimeError("--log-dir: pipe: " + errnoText(errno));
    log.read_end.reset(ends[0]);
    log.write_end.reset(ends[1]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  }
  return logs;
}

void RankLogs::addTo(std::vector<pollfd>& polled) const {
  for (const Log& log : logs_) {
    if (log.read_end && shown_.size() < kMostShown) {
      polled.push_back({log.read_end.get(), POLLIN, 0});
    }
  }
  if (!shown_.empty()) polled.push_back({STDERR_FILENO, POLLOUT, 0});
}

void RankLogs::move() {
  for (Log& log : logs_) {
    while (shown_.size() < kMostShown && take(log)) {
    }
  }
  pass(false);
}

bool RankLogs::take(Log& log) {
  if (!log.read_end) return false;
  char block[4096];
  const ssize_t n = ::read(log.read_end.get(), block, sizeof(block));
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) {
    log.read_end.reset();
    return false;
  }
  const std::string_view text(block, static_cast<size_t>(n));
  write(log, text);
  show(log.rank, text);
  return true;
}

void RankLogs::write(Log& log, std::string_view text) {
  if (!log.file) return;
  const Status written = writeAll(log.file.get(), text, log.path);
  if (written.ok()) return;
  show(log.rank, written.error().message + "; the log ends here\n");
  log.file.reset();
}

// Text of ranks comes in any pieces; a line of one is not continued by another.
void RankLogs::show(uint32_t rank, std::string_view text) {
  std::string& to = holds_ ? held_ : shown_;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    if (unfinished_ != rank) {
      if (unfinished_) to += '\n';
      to += "[rank " + std::to_string(rank) + "] ";
    }
    to += text.substr(0, end);
    unfinished_ = to.back() == '\n' ? std::nullopt : std::optional(rank);
    text.remove_prefix(end);
  }
}

void RankLogs::hold() {
  if (!holds_ && unfinished_) {
    shown_ += '\n';
    unfinished_.reset();
  }
  holds_ = true;
}

void RankLogs::pass(bool wait) {
  while (!shown_.empty()) {
    pollfd out{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&out, 1, wait ? -1 : 0) == 0) return;
    // A pipe that is ready takes this much without blocking.
    const ssize_t n =
        ::write(STDERR_FILENO, shown_.data(), std::min<size_t>(shown_.size(), PIPE_BUF));
    if (n < 0 && errno != EINTR && errno != EAGAIN) return shown_.clear();  // nobody reads it
    if (n > 0) shown_.erase(0, static_cast<size_t>(n));
  }
}

std::string RankLogs::finish() {
  for (Log& log : logs_) {
    while (take(log)) {
      if (shown_.size() >= kMostShown) pass(true);
    }
  }
  if (unfinished_) (holds_ ? held_ : shown_) += '\n';
  pass(true);
  return std::move(held_);
}

}  // namespace dcc::launch
