#include "runtime/base/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "runtime/base/file.h"

namespace dcc {

Result<NewFile> NewFile::create(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return userError(path + ": cannot be written: it exists and is no regular file");
  }
  NewFile file;
  file.path_ = path;
  file.temporary_ = path + ".tmp-" + std::to_string(::getpid());
  // A file without a name vanishes with the process, whatever ends it.
  const size_t slash = path.rfind('/');
  const std::string dir = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  file.fd_.reset(::open(dir.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666));
  if (!file.fd_ && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    file.fd_.reset(::open(file.temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    file.named_ = static_cast<bool>(file.fd_);
  }
  if (!file.fd_) return fileError(path, "cannot be written", errno);
  return file;
}

NewFile::~NewFile() {
  if (fd_ && named_) ::unlink(temporary_.c_str());
}

Status NewFile::finish() {
  if (!named_) {
    const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
    ::unlink(temporary_.c_str());  // of a process that had our number and was killed right here
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      return runtimeError(path_ + ": cannot be written: " + errnoText(errno));
    }
  }
  // Some file systems report a full disk only when the file is closed.
  if (::close(fd_.release()) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    Error error = runtimeError(path_ + ": cannot be written: " + errnoText(errno));
    ::unlink(temporary_.c_str());
    return error;
  }
  return Status::success();
}

}  // namespace dcc
