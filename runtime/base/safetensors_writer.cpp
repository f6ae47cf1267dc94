#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "runtime/base/checked.h"
#include "runtime/base/safetensors.h"

namespace dcc {
namespace {

// The header's 8 + N bytes. It is padded with spaces to a multiple of 8, so that data is aligned.
std::string headerText(const std::vector<SafetensorsWriter::Tensor>& tensors,
                       const std::vector<uint64_t>& begins, const std::vector<uint64_t>& sizes) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (size_t i = 0; i < tensors.size(); ++i) {
    header[tensors[i].name] = {{"dtype", safetensorsName(tensors[i].dtype)},
                               {"shape", tensors[i].shape},
                               {"data_offsets", {begins[i], begins[i] + sizes[i]}}};
  }
  // A name that is no UTF-8 must not throw.
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize(alignUp<size_t>(text.size(), 8), ' ');
  uint64_t n = text.size();
  return std::string(reinterpret_cast<const char*>(&n), sizeof(n)) + text;
}

}  // namespace

Result<SafetensorsWriter> SafetensorsWriter::create(const std::string& path,
                                                    const std::vector<Tensor>& tensors) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return userError(path + ": cannot be written: it exists and is no regular file");
  }
  std::vector<uint64_t> begins, sizes;
  uint64_t total = 0;
  for (const Tensor& tensor : tensors) {
    std::optional<uint64_t> bytes = byteSize(tensor.dtype);
    for (uint64_t dimension : tensor.shape) {
      if (bytes) bytes = checkedMul(*bytes, dimension);
    }
    std::optional<uint64_t> end = bytes ? checkedAdd(total, *bytes) : std::nullopt;
    if (!end || *end > INT64_MAX / 2) {
      return userError(path + ": tensor " + tensor.name + " would be larger than any file");
    }
    begins.push_back(total);
    sizes.push_back(*bytes);
    total = *end;
  }

  SafetensorsWriter writer;
  writer.path_ = path;
  writer.temporary_ = path + ".tmp-" + std::to_string(::getpid());
  // A file without a name vanishes with the process, whatever ends it.
  const size_t slash = path.rfind('/');
  const std::string dir = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  writer.fd_.reset(::open(dir.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666));
  if (!writer.fd_ && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    writer.fd_.reset(
        ::open(writer.temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    writer.named_ = static_cast<bool>(writer.fd_);
  }
  if (!writer.fd_) return fileError(path, "cannot be written", errno);
  std::string header = headerText(tensors, begins, sizes);
  DCC_RETURN_IF_ERROR(writeAll(writer.fd_.get(), header, path));
  for (size_t i = 0; i < tensors.size(); ++i) {
    writer.placed_.push_back({header.size() + begins[i], sizes[i]});
  }
  writer.unwritten_ = total;
  return writer;
}

SafetensorsWriter::~SafetensorsWriter() {
  if (fd_ && named_) ::unlink(temporary_.c_str());
}

Status SafetensorsWriter::write(size_t tensor, uint64_t first, std::span<const float> values) {
  return writeBytes(tensor, first * sizeof(float),
                    {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
}

Status SafetensorsWriter::writeBytes(size_t tensor, uint64_t first,
                                     std::span<const uint8_t> bytes) {
  if (tensor >= placed_.size() || first > placed_[tensor].bytes ||
      bytes.size() > placed_[tensor].bytes - first || bytes.size() > unwritten_) {
    return runtimeError(path_ + ": a write outside of tensor " + std::to_string(tensor));
  }
  DCC_RETURN_IF_ERROR(writeAt(fd_.get(), placed_[tensor].offset + first, bytes, path_));
  unwritten_ -= bytes.size();
  return Status::success();
}

Status SafetensorsWriter::finish() {
  if (unwritten_ != 0) {
    return runtimeError(path_ + ": " + std::to_string(unwritten_) + " bytes were never written");
  }
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
