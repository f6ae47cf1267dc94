// The weights of a Hugging Face model directory: which tensor lies where. Only headers are read.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/hash.h"
#include "runtime/base/status.h"

namespace dcc::huggingface {

struct CheckpointFile {
  std::string path;  // absolute, symbolic links kept
  uint64_t bytes = 0;
  Hash header_hash;  // as SafetensorsHeader's
};

struct CheckpointTensor {
  uint32_t file = 0;  // index into files()
  std::string dtype;  // safetensors' name, "BF16"
  std::vector<uint64_t> shape;
  uint64_t offset = 0;  // bytes from the start of the file
  uint64_t bytes = 0;
};

// model.safetensors or, without it, the files that model.safetensors.index.json names.
class Checkpoint {
 public:
  // Errors (user), one line that names the file: neither of the two there; a damaged header or
  // index; the index names a file that is missing or outside the directory, or a tensor that is
  // not in its file.
  static Result<Checkpoint> open(const std::string& directory);

  const std::string& directory() const { return directory_; }
  const std::vector<CheckpointFile>& files() const { return files_; }
  // By name. Of an indexed checkpoint only what the index names.
  const std::map<std::string, CheckpointTensor, std::less<>>& tensors() const { return tensors_; }

  // Null when there is none.
  const CheckpointTensor* find(std::string_view name) const;
  // The tensor, which must have this shape and a dtype dcc computes with (F32, BF16, F16). Errors
  // (user) name directory and tensor, and for a missing one the nearest there is.
  Result<const CheckpointTensor*> require(std::string_view name,
                                          std::span<const uint64_t> shape) const;

 private:
  explicit Checkpoint(std::string directory) : directory_(std::move(directory)) {}
  Status readSingle(const std::string& path);
  Status readIndexed(const std::string& index_path);
  Error noWeights() const;

  std::string directory_;
  std::vector<CheckpointFile> files_;
  std::map<std::string, CheckpointTensor, std::less<>> tensors_;
};

}  // namespace dcc::huggingface
