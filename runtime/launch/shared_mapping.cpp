#include "runtime/launch/shared_mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <utility>

#include "runtime/base/file.h"

namespace dcc::launch {
namespace {

// Shrinking the file under a mapping would turn its use into SIGBUS.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW;

Error failed(const char* what) {
  return runtimeError(std::string("shared memory: ") + what + ": " + errnoText(errno));
}

}  // namespace

Result<SharedMapping> SharedMapping::create(size_t bytes) {
  UniqueFd fd(::memfd_create("dcc-group", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return failed("memfd_create");
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return failed("ftruncate");
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return failed("seals");
  return open(fd.release());
}

Result<SharedMapping> SharedMapping::open(int raw) {
  UniqueFd fd(raw);
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return failed("fstat");
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return runtimeError("shared memory: descriptor " + std::to_string(raw) +
                        " is not what drun hands to its ranks");
  }
  const auto bytes = static_cast<size_t>(info.st_size);
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) return failed("mmap");
  return SharedMapping(std::move(fd), {static_cast<std::byte*>(at), bytes});
}

SharedMapping::SharedMapping(SharedMapping&& other) noexcept
    : fd_(std::move(other.fd_)), memory_(std::exchange(other.memory_, {})) {}

SharedMapping& SharedMapping::operator=(SharedMapping&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(memory_, other.memory_);
  return *this;
}

SharedMapping::~SharedMapping() {
  if (!memory_.empty()) ::munmap(memory_.data(), memory_.size());
}

}  // namespace dcc::launch
