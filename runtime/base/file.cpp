#include "runtime/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace dcc {

std::string errnoText(int error) { return std::generic_category().message(error); }

Error fileError(const std::string& name, const std::string& what, int error) {
  const std::string message = name + ": " + what + ": " + errnoText(error);
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EIO:
      return runtimeError(message);
    default:
      return userError(message);
  }
}

Result<InputFile> openInput(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for its writer; pipes are refused below.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fileError(path, "cannot be read", errno);
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return fileError(path, "cannot be read", errno);
  if (S_ISDIR(info.st_mode)) return userError(path + ": is a directory; a file is expected");
  if (!S_ISREG(info.st_mode)) {
    return userError(path + ": is a pipe or device; a regular file is expected");
  }
  return InputFile{std::move(fd), static_cast<uint64_t>(info.st_size), path};
}

Status readAt(const InputFile& file, uint64_t offset, std::span<uint8_t> out) {
  while (!out.empty()) {
    ssize_t n = ::pread(file.fd.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return runtimeError(file.name + ": cannot be read: " + errnoText(errno));
    if (n == 0) {
      return runtimeError(file.name + ": ends at byte " + std::to_string(offset) +
                          "; it was changed or truncated");
    }
    out = out.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return Status::success();
}

Result<std::string> readFile(const std::string& path, uint64_t max_bytes) {
  DCC_ASSIGN(InputFile file, openInput(path));
  if (file.bytes > max_bytes) {
    return userError(path + ": has " + std::to_string(file.bytes) + " bytes; at most " +
                     std::to_string(max_bytes) + " are expected");
  }
  std::string bytes(file.bytes, '\0');
  DCC_RETURN_IF_ERROR(readAt(file, 0, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
  return bytes;
}

Status writeFile(const std::string& path, std::string_view bytes) {
  return writeFile(path, bytes, path);
}

Status writeFile(const std::string& path, std::string_view bytes, const std::string& name) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd) return fileError(name, "cannot be written", errno);
  DCC_RETURN_IF_ERROR(writeAll(fd.get(), bytes, name));
  // Some file systems report a full disk only here.
  if (::close(fd.release()) != 0) {
    return runtimeError(name + ": cannot be written: " + errnoText(errno));
  }
  return Status::success();
}

Status writeAll(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return runtimeError(name + ": cannot be written: " + errnoText(errno));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Status::success();
}

Status writeAt(int fd, uint64_t offset, std::span<const uint8_t> bytes, const std::string& name) {
  while (!bytes.empty()) {
    ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return runtimeError(name + ": cannot be written: " + errnoText(errno));
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return Status::success();
}

bool staysBelow(std::string_view path) {
  if (path.empty() || path[0] == '/' || path.find('\0') != path.npos) return false;
  while (!path.empty()) {
    size_t slash = std::min(path.find('/'), path.size());
    if (path.substr(0, slash) == "..") return false;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return true;
}

}  // namespace dcc
