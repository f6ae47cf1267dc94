// Anonymous memory from the system: zeroed, page-aligned, paid for page by page as it is touched.
#pragma once

#include <cstddef>
#include <utility>

#include "runtime/base/status.h"

namespace dcc::cpu {

class Memory {
 public:
  Memory() = default;
  ~Memory();
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    swap(other);
    return *this;
  }

  // In huge pages where the system has them.
  static Result<Memory> map(size_t bytes);

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void swap(Memory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace dcc::cpu
