#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
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

  DCC_ASSIGN(NewFile file, NewFile::create(path));
  SafetensorsWriter writer(std::move(file));
  std::string header = headerText(tensors, begins, sizes);
  DCC_RETURN_IF_ERROR(writeAll(writer.file_.fd(), header, path));
  for (size_t i = 0; i < tensors.size(); ++i) {
    writer.placed_.push_back({header.size() + begins[i], sizes[i]});
  }
  writer.unwritten_ = total;
  return writer;
}

Status SafetensorsWriter::write(size_t tensor, uint64_t first, std::span<const float> values) {
  return writeBytes(tensor, first * sizeof(float),
                    {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
}

Status SafetensorsWriter::writeBytes(size_t tensor, uint64_t first,
                                     std::span<const uint8_t> bytes) {
  if (tensor >= placed_.size() || first > placed_[tensor].bytes ||
      bytes.size() > placed_[tensor].bytes - first || bytes.size() > unwritten_) {
    return runtimeError(file_.path() + ": a write outside of tensor " + std::to_string(tensor));
  }
  DCC_RETURN_IF_ERROR(writeAt(file_.fd(), placed_[tensor].offset + first, bytes, file_.path()));
  unwritten_ -= bytes.size();
  return Status::success();
}

Status SafetensorsWriter::finish() {
  if (unwritten_ != 0) {
    return runtimeError(file_.path() + ": " + std::to_string(unwritten_) +
                        " bytes were never written");
  }
  return file_.finish();
}

}  // namespace dcc
