// A file of lines that may be much larger than memory: what classify and embed read.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/base/unique_fd.h"
#include "tools/drun/stdio.h"

namespace dcc::drun {

struct Line {
  uint64_t number = 0;  // from 1, of all lines
  std::string text;     // without its end; not blank
};

class TextInput {
 public:
  // A regular file is read where it is. A pipe, or "-" for standard input, is first copied to a
  // file without a name, since lines are read twice: to be checked, and to be used. Errors:
  // unreadable (user); no room for the copy (runtime). `waiting` is called while nothing comes.
  static Result<TextInput> open(const std::string& path, const Waiting& waiting);

  // The next line that is not blank; false at the end. Error (user): unreadable, or a line of more
  // than 64 MiB.
  Result<bool> next(Line& line);
  void rewind();

  // "in.jsonl:3", for messages.
  std::string where(uint64_t line) const { return name_ + ":" + std::to_string(line); }
  const std::string& name() const { return name_; }

 private:
  TextInput(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  Result<bool> readLine(std::string& line);

  UniqueFd fd_;
  std::string name_;
  uint64_t offset_ = 0;  // in the file, of what comes after buffer_
  std::string buffer_;
  size_t taken_ = 0;     // of buffer_
  uint64_t number_ = 0;  // of the last line
  bool ended_ = false;
};

}  // namespace dcc::drun
