// Anonymous shared memory that a child process inherits as a descriptor.
#pragma once

#include <cstddef>
#include <span>

#include "runtime/base/status.h"
#include "runtime/base/unique_fd.h"

namespace dcc::launch {

class SharedMapping {
 public:
  // Errors (runtime): no memory, no descriptors.
  static Result<SharedMapping> create(size_t bytes);
  // Of a descriptor that create() made, in this process or its parent. Takes `fd` over.
  static Result<SharedMapping> open(int fd);

  SharedMapping(SharedMapping&& other) noexcept;
  SharedMapping& operator=(SharedMapping&& other) noexcept;
  ~SharedMapping();

  int fd() const { return fd_.get(); }
  std::span<std::byte> memory() const { return memory_; }

 private:
  SharedMapping(UniqueFd fd, std::span<std::byte> memory) : fd_(std::move(fd)), memory_(memory) {}

  UniqueFd fd_;
  std::span<std::byte> memory_;
};

}  // namespace dcc::launch
