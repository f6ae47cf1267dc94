// The safetensors file format: 8 bytes little-endian N, N bytes of JSON header, tensor data.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/base/file.h"
#include "runtime/base/hash.h"
#include "runtime/base/new_file.h"
#include "runtime/base/status.h"

namespace dcc {

struct SafetensorsTensor {
  std::string name;
  // As the file has it: "BF16", "F8_E4M3", or a name that we don't know. parseDType() says whether
  // dcc computes with it.
  std::string dtype;
  std::vector<uint64_t> shape;
  uint64_t offset = 0;  // bytes from the start of the file
  uint64_t bytes = 0;
};

// A header that was checked: the tensors lie in the file one after the other without holes or
// overlaps up to its end, and those of a known dtype have as many bytes as their shape says.
struct SafetensorsHeader {
  uint64_t file_bytes = 0;
  uint64_t header_bytes = 0;               // 8 + N
  Hash hash;                               // of the file's first 8 + N bytes
  std::vector<SafetensorsTensor> tensors;  // sorted by name

  // Null when there is none.
  const SafetensorsTensor* find(std::string_view name) const;
};

// Reads the header only. Errors (user) name the file and what is damaged.
Result<SafetensorsHeader> readSafetensorsHeader(const std::string& path);
Result<SafetensorsHeader> readSafetensorsHeader(const InputFile& file);

// The same from memory: `head` is the file's first 8 + N bytes or more.
Result<SafetensorsHeader> parseSafetensorsHeader(std::span<const uint8_t> head, uint64_t file_bytes,
                                                 const std::string& name);

// Only the hash of the header; nothing is parsed. Errors (user): no header of a possible length.
Result<Hash> safetensorsHeaderHash(const InputFile& file);

// Bits per element of a safetensors dtype name; nothing for one we don't know.
std::optional<unsigned> safetensorsBits(std::string_view dtype);
// "F32" for DType::kF32.
std::string_view safetensorsName(DType type);

// Writes a safetensors file whose tensors are known beforehand; their data may come in any order.
// The file appears under its name when finish() succeeds, and not at all otherwise.
class SafetensorsWriter {
 public:
  struct Tensor {
    std::string name;  // unique
    DType dtype;
    std::vector<uint64_t> shape;
  };

  // Errors: not writable, or something other than a regular file is in the way (user); disk full
  // (runtime). All name `path`.
  static Result<SafetensorsWriter> create(const std::string& path,
                                          const std::vector<Tensor>& tensors);

  // Elements [first, first + values.size()) of an f32 tensor, counted in row-major order.
  Status write(size_t tensor, uint64_t first, std::span<const float> values);
  // Bytes [first, first + bytes.size()) of any tensor.
  Status writeBytes(size_t tensor, uint64_t first, std::span<const uint8_t> bytes);

  // Every byte must have been written, once.
  Status finish();

 private:
  struct Placed {
    uint64_t offset, bytes;
  };
  SafetensorsWriter(std::string path, NewFile file)
      : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  NewFile file_;
  std::vector<Placed> placed_;
  uint64_t unwritten_ = 0;
};

}  // namespace dcc
