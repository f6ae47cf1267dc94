// Files, with errors that name them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/base/status.h"
#include "runtime/base/unique_fd.h"

namespace dcc {

// A regular file open for reading.
struct InputFile {
  UniqueFd fd;
  uint64_t bytes = 0;  // size when it was opened
  std::string name;    // for messages
};

// Errors: missing, unreadable, or anything but a regular file; (runtime) no more descriptors.
Result<InputFile> openInput(const std::string& path);

// Fills `out` with the bytes from `offset` on. Error (runtime) when reading fails or the file ends
// before. Callable from several threads.
Status readAt(const InputFile& file, uint64_t offset, std::span<uint8_t> out);

// All bytes of a regular file. Errors: openInput's, and more than `max_bytes`.
Result<std::string> readFile(const std::string& path, uint64_t max_bytes);

// Writes a new file or replaces one. Errors (runtime: disk full; user: not writable) name `path`;
// what was written until then stays.
Status writeFile(const std::string& path, std::string_view bytes);
// The same with another name for `path` in errors.
Status writeFile(const std::string& path, std::string_view bytes, const std::string& name);

// All of `bytes` to a descriptor, through interrupted and partial writes.
Status writeAll(int fd, std::string_view bytes, const std::string& name);
// The same at an offset, without moving the file position.
Status writeAt(int fd, uint64_t offset, std::span<const uint8_t> bytes, const std::string& name);

// Whether a relative path stays below the directory it is relative to: not empty, not absolute, no
// "..", no NUL.
bool staysBelow(std::string_view path);

// "No such file or directory" for an errno value. Callable from several threads.
std::string errnoText(int error);

// "<name>: <what>: No such file or directory". Fault: the user's, where another path would do; the
// machine's, where it is out of space, descriptors or memory, or broken.
Error fileError(const std::string& name, const std::string& what, int error);

}  // namespace dcc
