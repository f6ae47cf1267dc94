#include "runtime/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "runtime/base/unique_fd.h"

namespace dcc {

std::string errnoText(int error) { return std::generic_category().message(error); }

Result<std::string> readFile(const std::string& path, uint64_t max_bytes) {
  // O_NONBLOCK: opening a pipe must not wait for its writer; it is refused below.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return userError(path + ": cannot be read: " + errnoText(errno));
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) {
    return userError(path + ": cannot be read: " + errnoText(errno));
  }
  if (S_ISDIR(info.st_mode)) return userError(path + ": is a directory; a file is expected");
  if (!S_ISREG(info.st_mode)) return userError(path + ": is not a regular file");
  uint64_t size = static_cast<uint64_t>(info.st_size);
  if (size > max_bytes) {
    return userError(path + ": has " + std::to_string(size) + " bytes; at most " +
                     std::to_string(max_bytes) + " are expected");
  }
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t n = ::read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return runtimeError(path + ": read failed: " + errnoText(errno));
    if (n == 0) break;  // truncated since fstat: what is left is what the file has
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

Status writeFile(const std::string& path, std::string_view bytes) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd) return userError(path + ": cannot be written: " + errnoText(errno));
  DCC_RETURN_IF_ERROR(writeAll(fd.get(), bytes, path));
  // Some filesystems report a full disk only here.
  if (::close(fd.release()) != 0) {
    return runtimeError(path + ": write failed: " + errnoText(errno));
  }
  return Status::success();
}

Status writeAll(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return runtimeError(name + ": write failed: " + errnoText(errno));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Status::success();
}

}  // namespace dcc
