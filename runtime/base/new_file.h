// A file that appears whole or not at all.
#pragma once

#include <string>

#include "runtime/base/status.h"
#include "runtime/base/unique_fd.h"

namespace dcc {

// Written through fd(); it has its name once finish() has succeeded, and replaces what had it.
// Until then it is gone with the process, or with the object.
class NewFile {
 public:
  // Errors: not writable, or something other than a regular file is in the way (user); no more
  // descriptors or disk (runtime). All name `path`.
  static Result<NewFile> create(const std::string& path);
  NewFile(NewFile&&) = default;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

  // Once. Error (runtime): disk full.
  Status finish();

 private:
  NewFile() = default;

  std::string path_, temporary_;
  UniqueFd fd_;
  bool named_ = false;  // the file is at temporary_; else it has no name yet
};

}  // namespace dcc
