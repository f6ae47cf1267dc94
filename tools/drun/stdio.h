// Reading and writing that may take as long as a user likes: while it waits, the rank says to the
// others that it is alive, and hears when they are not.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace dcc::drun {

// Called several times a second while nothing comes or goes; its error ends the waiting.
using Waiting = std::function<Status()>;

// Appends to `text` what a descriptor has, waiting for it; 0 at its end.
Result<size_t> readSome(int fd, const std::string& name, const Waiting& waiting, std::string& text);

// Everything up to the end of a descriptor. Errors name `name`: unreadable, more than `max_bytes`.
Result<std::string> readAll(int fd, const std::string& name, size_t max_bytes,
                            const Waiting& waiting);

// A line of a terminal without its newline; nothing at the end of input.
class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}
  Result<bool> next(std::string& line, const Waiting& waiting);

 private:
  int fd_;
  std::string buffer_;
  bool ended_ = false;
};

// Standard output. Once the reader is gone it swallows the rest.
class Output {
 public:
  explicit Output(Waiting waiting) : waiting_(std::move(waiting)) {}

  // Errors (runtime): disk full and the like.
  Status write(std::string_view text);
  // Whether the reader is gone, as of now.
  bool closed();

 private:
  Waiting waiting_;
  bool closed_ = false;
};

}  // namespace dcc::drun
