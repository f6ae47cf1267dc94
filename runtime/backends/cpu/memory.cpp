#include "runtime/backends/cpu/memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <string>

#include "runtime/base/file.h"

namespace dcc::cpu {

Memory::~Memory() {
  if (data_ != nullptr) munmap(data_, size_);
}

Result<Memory> Memory::map(size_t bytes) {
  Memory memory;
  if (bytes == 0) return memory;
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) {
    return runtimeError("memory: cannot map " + std::to_string(bytes) + " bytes: " +
                        errnoText(errno) + "; more ranks or smaller limits need less each");
  }
  memory.data_ = static_cast<std::byte*>(at);
  memory.size_ = bytes;
  // Advice only: without huge pages everything still works.
  madvise(at, bytes, MADV_HUGEPAGE);
  return memory;
}

}  // namespace dcc::cpu
