#include "tools/drun/text_input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "runtime/base/file.h"

namespace dcc::drun {
namespace {

constexpr size_t kBlockBytes = size_t{256} << 10;
constexpr size_t kMostLineBytes = size_t{64} << 20;

// A file that vanishes with the process.
Result<UniqueFd> nameless() {
  const char* set = std::getenv("TMPDIR");
  const std::string dir = set != nullptr && *set != '\0' ? set : "/tmp";
  UniqueFd fd(::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd) return fd;
  std::string path = dir + "/drun-XXXXXX";
  fd.reset(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd) return fileError(dir, "no file can be made there", errno);
  ::unlink(path.c_str());
  return fd;
}

}  // namespace

Result<TextInput> TextInput::open(const std::string& path, const Waiting& waiting) {
  const bool standard = path == "-";
  const std::string name = standard ? "stdin" : path;
  UniqueFd fd(standard ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (!fd || ::fstat(fd.get(), &info) != 0) return fileError(name, "cannot be read", errno);
  if (S_ISREG(info.st_mode) && ::lseek(fd.get(), 0, SEEK_CUR) == 0) {
    return TextInput(std::move(fd), name);
  }
  DCC_ASSIGN(UniqueFd copy, nameless());
  std::string block;
  for (;;) {
    block.clear();
    DCC_ASSIGN(const size_t n, readSome(fd.get(), name, waiting, block));
    if (n == 0) return TextInput(std::move(copy), name);
    DCC_RETURN_IF_ERROR(writeAll(copy.get(), block, "the copy of " + name));
  }
}

void TextInput::rewind() {
  offset_ = taken_ = number_ = 0;
  buffer_.clear();
  ended_ = false;
}

Result<bool> TextInput::next(Line& line) {
  for (;;) {
    DCC_ASSIGN(const bool more, readLine(line.text));
    if (!more) return false;
    line.number = ++number_;
    if (line.text.find_first_not_of(" \t\r") != std::string::npos) return true;
  }
}

Result<bool> TextInput::readLine(std::string& line) {
  size_t searched = taken_;
  for (;;) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos || (ended_ && taken_ < buffer_.size())) {
      line.assign(buffer_, taken_, std::min(end, buffer_.size()) - taken_);
      taken_ = end == std::string::npos ? buffer_.size() : end + 1;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return true;
    }
    if (ended_) return false;
    buffer_.erase(0, taken_);
    taken_ = 0;
    searched = buffer_.size();
    if (searched > kMostLineBytes) {
      return userError(where(number_ + 1) + ": a line of more than " +
                       std::to_string(kMostLineBytes >> 20) + " MiB");
    }
    buffer_.resize(searched + kBlockBytes);
    ssize_t n = 0;
    do {
      n = ::pread(fd_.get(), buffer_.data() + searched, kBlockBytes, static_cast<off_t>(offset_));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return fileError(name_, "cannot be read", errno);
    buffer_.resize(searched + static_cast<size_t>(n));
    offset_ += static_cast<uint64_t>(n);
    ended_ = n == 0;
  }
}

}  // namespace dcc::drun
