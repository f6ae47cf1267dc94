// A file that appears whole or not at all: it gets its name when it is finished.
#pragma once

#include <string>

#include "runtime/base/status.h"
#include "runtime/base/unique_fd.h"

namespace dcc {

class NewFile {
 public:
  // Error (user): not writable, or something other than a regular file is in the way.
  static Result<NewFile> create(const std::string& path);
  NewFile(NewFile&&) = default;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

  // Replaces what was at the path. Error (runtime): disk full and the like; nothing is left then.
  Status finish();

 private:
  NewFile() = default;

  std::string path_, temporary_;
  UniqueFd fd_;
  bool named_ = false;  // the file is at temporary_; else it has no name yet
};

}  // namespace dcc
