// Small files as a whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace dcc {

// The bytes of a regular file. Errors (user): missing or unreadable, a directory or device, more
// than `max_bytes`. `path` is named in them.
Result<std::string> readFile(const std::string& path, uint64_t max_bytes);

// Writes a new file or replaces one. Errors (runtime: disk full; user: not writable) name `path`;
// what was written until then stays.
Status writeFile(const std::string& path, std::string_view bytes);

// All of `bytes` to a descriptor, through interrupted and partial writes.
Status writeAll(int fd, std::string_view bytes, const std::string& name);

// "No such file or directory" for an errno value; safe to call from several threads.
std::string errnoText(int error);

}  // namespace dcc
